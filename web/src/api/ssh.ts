// The terminal's client: SSH in the browser, as WebAssembly, loaded when it is first needed (web/ssh/doc.go is its contract).
// Private keys are kept in memory only, for as long as the tab lives; they are never stored and never sent.

export interface Session {
  write: (data: Uint8Array | string) => void;
  resize: (cols: number, rows: number) => void;
  close: () => void;
}

export interface Phase {
  phase: 'connecting' | 'hostKey' | 'signingIn' | 'open';
  fingerprint: string;
  known: boolean;
}

export interface Connect {
  url: string;
  user: string;
  hostKeys: string[];
  privateKey: string;
  passphrase?: string;
  cols: number;
  rows: number;
  onData: (bytes: Uint8Array) => void;
  onStatus: (status: Phase) => void;
  /** Once. `closeCode` is the WebSocket's; 1006 where the connection broke off or fell silent. */
  onClose: (end: { message: string; exitCode: number | null; closeCode: number }) => void;
}

export interface SSH {
  generateKey: () => { privateKey: string; publicKey: string };
  connect: (options: Connect) => Promise<Session>;
}

interface Loaded {
  billetSSH?: SSH;
  Go?: new () => { importObject: WebAssembly.Imports; run: (instance: WebAssembly.Instance) => Promise<void> };
}

let loading: Promise<SSH> | undefined;

export function loadSSH(): Promise<SSH> {
  loading ??= load().catch((thrown: unknown) => {
    // The next press tries again.
    loading = undefined;
    throw thrown;
  });
  return loading;
}

async function load(): Promise<SSH> {
  await script('/ssh/wasm_exec.js');
  const page = globalThis as Loaded;
  if (!page.Go) throw new Error('The terminal could not be loaded. Reload the page and try again.');
  const go = new page.Go();
  const answer = await fetch('/ssh/billet-ssh.wasm');
  if (!answer.ok) throw new Error('This server was built without the terminal. Use ssh from your own computer.');
  const { instance } = await WebAssembly.instantiateStreaming(answer, go.importObject);
  void go.run(instance);
  if (!page.billetSSH) throw new Error('The terminal could not be started. Reload the page and try again.');
  return page.billetSSH;
}

function script(src: string): Promise<void> {
  return new Promise((done, fail) => {
    const element = document.createElement('script');
    element.src = src;
    element.onload = () => done();
    element.onerror = () => {
      element.remove();
      fail(new Error('The terminal could not be loaded: the server did not answer.'));
    };
    document.head.append(element);
  });
}

interface Held {
  privateKey: string;
  passphrase?: string;
}

const held = new Map<string, Held>();

/** Keeps a private key for the tab's life, under the fingerprint of its public half or a deployment's id. */
export function holdKey(of: string, key: Held) {
  held.set(of, key);
}

export function heldKey(...candidates: string[]): Held | undefined {
  return candidates.map((c) => held.get(c)).find((k) => k !== undefined);
}

export function dropKey(of: string) {
  held.delete(of);
}
