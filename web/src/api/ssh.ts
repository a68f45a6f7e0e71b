// The terminal's SSH client, as WebAssembly, loaded on first use (web/ssh/doc.go describes it).
// Private keys stay in memory for the life of the tab. They are never stored and never sent.

export interface Session {
  write: (data: Uint8Array | string) => void;
  resize: (cols: number, rows: number) => void;
  close: () => void;
  /** Opens the machine's files over the same connection. */
  files: () => Promise<Files>;
}

export type EntryKind = 'file' | 'folder' | 'link' | 'other';

export interface Entry {
  name: string;
  kind: EntryKind;
  /** What a link leads to; "other" where that does not exist, "" where this is no link. */
  linksTo: EntryKind | '';
  size: number;
  /** Milliseconds since 1970. */
  modified: number;
  /** Such as -rw-r--r--. */
  mode: string;
  /** Whether the name is valid UTF-8, so that a page can name it. */
  usable: boolean;
}

export interface Listing {
  /** Absolute, without links. */
  path: string;
  /** The folder has more entries. */
  partial: boolean;
  entries: Entry[];
}

export interface Running {
  done: Promise<void>;
  cancel: () => void;
}

export interface Files {
  list: (path: string) => Promise<Listing>;
  makeFolder: (path: string) => Promise<void>;
  rename: (from: string, to: string) => Promise<void>;
  remove: (path: string) => Running;
  upload: (path: string, file: Blob, how: { replace: boolean; onProgress: (bytes: number) => void }) => Running;
  download: (
    path: string,
    how: {
      onSize: (bytes: number) => void;
      /** The next piece waits for the promise. */
      onData: (bytes: Uint8Array<ArrayBuffer>) => Promise<void>;
      onProgress: (bytes: number) => void;
    },
  ) => Running;
  close: () => void;
}

export interface Phase {
  phase: 'connecting' | 'hostKey' | 'signingIn' | 'open';
  fingerprint: string;
  known: boolean;
  /** In "open": the shell outlives the connection; it was opened over an earlier one. */
  kept: boolean;
  resumed: boolean;
}

export interface Connect {
  url: string;
  user: string;
  hostKeys: string[];
  privateKey: string;
  passphrase?: string;
  cols: number;
  rows: number;
  /** The name of a shell that outlives the connection, where the machine has tmux. */
  keep?: string;
  onData: (bytes: Uint8Array) => void;
  onStatus: (status: Phase) => void;
  /**
   * Called once. `closeCode` is the WebSocket's; 1006 where the connection broke off or timed out.
   */
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
    // The next click retries.
    loading = undefined;
    throw thrown;
  });
  return loading;
}

async function load(): Promise<SSH> {
  await script('/ssh/wasm_exec.js');
  const page = globalThis as Loaded;
  if (!page.Go) throw new Error('The terminal could not be loaded. Reload the page.');
  const go = new page.Go();
  const answer = await fetch('/ssh/billet-ssh.wasm');
  if (!answer.ok) throw new Error('This server was built without the web terminal. Use ssh on your computer.');
  const { instance } = await WebAssembly.instantiateStreaming(answer, go.importObject);
  void go.run(instance);
  if (!page.billetSSH) throw new Error('The terminal could not be started. Reload the page.');
  return page.billetSSH;
}

function script(src: string): Promise<void> {
  return new Promise((done, fail) => {
    const element = document.createElement('script');
    element.src = src;
    element.onload = () => done();
    element.onerror = () => {
      element.remove();
      fail(new Error('The terminal could not be loaded: the server did not respond.'));
    };
    document.head.append(element);
  });
}

interface StoredKey {
  privateKey: string;
  passphrase?: string;
}

const keys = new Map<string, StoredKey>();

/**
 * Keeps a private key for the life of the tab, under its public key's fingerprint or a deployment's
 * ID.
 */
export function keepKey(of: string, key: StoredKey) {
  keys.set(of, key);
}

export function keptKey(...candidates: string[]): StoredKey | undefined {
  return candidates.map((c) => keys.get(c)).find((k) => k !== undefined);
}

export function dropKey(of: string) {
  keys.delete(of);
}
