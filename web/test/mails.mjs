// What a mail server has taken, by mailpit's own API at MAIL_API.

import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';

const api = process.env.MAIL_API;

/** Returns the text of the only mail to the address with that subject, once it is there. */
export async function mailTo(address, subject) {
  for (;;) {
    const query = encodeURIComponent(`to:"${address}" subject:"${subject}"`);
    const { messages } = await (await fetch(`${api}/api/v1/search?query=${query}`)).json();
    assert.ok(messages.length <= 1, `${messages.length} mails to ${address}: ${subject}`);
    if (messages.length === 1) return (await (await fetch(`${api}/api/v1/message/${messages[0].ID}`)).json()).Text;
    await pause(200); // the test's own limit ends this
  }
}

/** Returns the path of the link in that mail, which must lead to the server. */
export async function linkIn(server, address, subject) {
  const url = new URL((await mailTo(address, subject)).match(/^https?:\S+#\S+$/m)[0]);
  assert.equal(url.origin, server.url);
  return url.pathname + url.hash;
}
