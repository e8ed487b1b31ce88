// Puts the channel together.

import "./header.js";
import { Channel } from "./channel.js";
import { showFeed } from "./feed.js";
import { listen } from "./inputs.js";

const channel = new Channel(document.getElementById("posts"));
listen((files) => channel.post(files));
const feed = document.getElementById("feed");
if (feed) showFeed(feed);
