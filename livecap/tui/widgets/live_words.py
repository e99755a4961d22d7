"""What the screen of a session says before anybody has spoken."""

from livecap.session.status import State

TINY_NOTICE = "The demo model tiny understands clear synthetic English voices. Real use takes Qwen3-ASR."
PLACEHOLDERS = {
    State.LOADING: "Loading the model…",
    State.LISTENING: "Listening…",
    State.PAUSED: "Paused. Space goes on.",
    State.FINISHING: "Finishing…",
    State.ENDED: "Nothing was said.",
    State.FAILED: "",
}
LISTENING = (State.LOADING, State.LISTENING)
OVER = (State.ENDED, State.FAILED)
