// ai: the chat that stands behind useChat, over its default transport.
import { AbstractChat, DefaultChatTransport } from "ai";
import { address, tell } from "./cases.mjs";

class State {
  status = "ready";
  error = undefined;
  messages = [];
  pushMessage = (message) => (this.messages = [...this.messages, message]);
  popMessage = () => (this.messages = this.messages.slice(0, -1));
  replaceMessage = (index, message) => (this.messages = this.messages.with(index, message));
  snapshot = (value) => structuredClone(value);
}

class Chat extends AbstractChat {
  constructor(init) {
    super({ ...init, state: new State() });
  }
}

await tell(async (wanted, seen) => {
  const transport = new DefaultChatTransport({ api: address(wanted, "/api/ai-sdk"), headers: wanted.headers });
  let ids = 0;
  const generateId = () => `message-${(ids += 1)}`; // the same question shall be the same bytes
  const chat = new Chat({ id: "chat-1", transport, generateId });
  await chat.sendMessage({ text: "Why?" });
  const answers = chat.messages.filter(({ role }) => role === "assistant");
  for (const part of answers.flatMap(({ parts }) => parts)) seen.note(part.type, part.text);
  seen.note(chat.status);
  if (chat.error) throw chat.error;
});
