// Runs the terminal's client as a page would, outside a browser. The input is one line of JSON on
// standard input: {dir, key, script: [lines]}, and with "connect" the options of connect. Prints
// one line of JSON.
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";

const input = JSON.parse(readFileSync(0, "utf8"));
// An API key in place of a session's cookie: a browser's WebSocket takes no headers, this one does.
const Plain = globalThis.WebSocket;
globalThis.WebSocket = class extends Plain {
  constructor(url) {
    super(url, { headers: { Authorization: `Bearer ${input.key}` } });
  }
};
(0, eval)(readFileSync(`${input.dir}/wasm_exec.js`, "utf8"));
const go = new globalThis.Go();
const program = gunzipSync(readFileSync(`${input.dir}/billet-ssh.wasm.gz`));
const { instance } = await WebAssembly.instantiate(program, go.importObject);
go.run(instance);
const ssh = globalThis.billetSSH;

function print(result) {
  process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));
}

if (!input.connect) {
  print(ssh.generateKey());
} else {
  let said = "";
  let wake = () => {};
  const phases = [];
  const text = new TextDecoder();
  try {
    let ended;
    const end = new Promise((resolve) => {
      ended = resolve;
    });
    const session = await ssh.connect({
      ...input.connect,
      onData: (bytes) => {
        said += text.decode(bytes, { stream: true });
        wake();
      },
      onStatus: (status) => phases.push(status),
      onClose: ended,
    });
    for (const step of input.script) {
      if (step.resize) session.resize(...step.resize);
      if (step.write) session.write(step.bytes ? new TextEncoder().encode(step.write) : step.write);
      while (step.until && !said.includes(step.until)) {
        await new Promise((resolve) => {
          wake = resolve;
        });
      }
      if (step.close) session.close();
    }
    print({ said, phases, end: await end });
  } catch (e) {
    print({ said, phases, error: { code: e.code, message: e.message } });
  }
}
