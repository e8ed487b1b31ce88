// The training run in progress, as the server tells it. A browser that was cut off comes back by itself, and so does this.

const AGAIN_MS = 30_000; // after a refusal: then the browser does not

/** Calls state, run, epochs with what is told, and lost where nothing is told any more. */
export function watch({ state, run, epochs, lost }) {
  const source = new EventSource("/api/runs/events");
  const hear = (kind, tell) => source.addEventListener(kind, (event) => tell(JSON.parse(event.data)));
  hear("state", state);
  hear("run", run);
  hear("epochs", epochs);
  source.addEventListener("error", () => {
    lost();
    if (source.readyState === EventSource.CLOSED) setTimeout(() => watch({ state, run, epochs, lost }), AGAIN_MS);
  });
}
