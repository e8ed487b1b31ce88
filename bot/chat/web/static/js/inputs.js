// All the ways in which a picture gets here: chosen, taken with the camera, dropped, pasted.

/** Calls `receive` with an array of files; it is empty where something was dropped that is no file. */
export function listen(receive) {
  for (const kind of ["file", "camera"]) {
    const input = document.getElementById(kind);
    input.addEventListener("change", () => {
      const files = [...input.files];
      input.value = ""; // the same file may be chosen again
      if (files.length) receive(files);
    });
    for (const button of document.querySelectorAll(`[data-pick="${kind}"]`)) {
      button.addEventListener("click", () => input.click());
    }
  }
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length) {
      event.preventDefault();
      receive(files);
    }
  });
  listenForDrops(receive);
}

function listenForDrops(receive) {
  const curtain = document.getElementById("curtain");
  const carries = (event) => [...(event.dataTransfer?.types ?? [])].some((t) => t === "Files" || t === "text/uri-list");
  let depth = 0; // entering a child is told before leaving its parent
  const show = (change) => {
    depth = change ? Math.max(0, depth + change) : 0;
    curtain.hidden = depth === 0;
  };
  addEventListener("dragenter", (event) => carries(event) && show(1));
  addEventListener("dragleave", (event) => carries(event) && show(-1));
  addEventListener("dragover", (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
  });
  addEventListener("drop", (event) => {
    if (!carries(event)) return;
    event.preventDefault(); // otherwise the browser leaves the page to show the file
    show(0);
    receive([...event.dataTransfer.files]);
  });
}
