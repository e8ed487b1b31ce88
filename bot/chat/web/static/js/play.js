// Puts the page together.

import "./header.js";
import { Channel } from "./channel.js";
import { listen } from "./inputs.js";

const channel = new Channel(document.getElementById("posts"));
listen((files) => channel.post(files));
