// Where a download goes: to a file that the user picks, or through the browser's memory.

/** A browser that cannot write to a picked file keeps the whole download until it is complete. */
export const mostInMemory = 1_000_000_000;

export interface Sink {
  onSize: (bytes: number) => void;
  onData: (bytes: Uint8Array<ArrayBuffer>) => Promise<void>;
  /** Saves what has arrived. */
  finish: () => Promise<void>;
  /** Leaves nothing behind. */
  abort: () => Promise<void>;
}

type PickFile = (options: { suggestedName: string }) => Promise<FileSystemFileHandle>;

/**
 * Asks where to save a file. It must be called by a click. It returns null where the user picks
 * none.
 */
export async function sinkFor(name: string, instead: string): Promise<Sink | null> {
  const pick = (window as { showSaveFilePicker?: PickFile }).showSaveFilePicker;
  if (!pick) return memorySink(name, instead);
  try {
    const handle = await pick.call(window, { suggestedName: name });
    return await fileSink(handle);
  } catch (thrown) {
    if (thrown instanceof DOMException && thrown.name === 'AbortError') return null;
    throw thrown;
  }
}

async function fileSink(handle: FileSystemFileHandle): Promise<Sink> {
  const file = await handle.createWritable();
  return {
    onSize: () => {},
    onData: (bytes) => file.write(bytes),
    finish: () => file.close(),
    abort: () => file.abort().catch(() => {}),
  };
}

function memorySink(name: string, instead: string): Sink {
  // Blobs, so that the browser may move them to its disk.
  let parts: Blob[] = [];
  return {
    onSize: (bytes) => {
      if (bytes > mostInMemory)
        throw new Error(`This browser can save files of up to 1 GB. Run on your computer: ${instead}`);
    },
    onData: async (bytes) => {
      parts.push(new Blob([bytes]));
    },
    finish: async () => {
      const url = URL.createObjectURL(new Blob(parts, { type: 'application/octet-stream' }));
      parts = [];
      const link = document.createElement('a');
      link.href = url;
      link.download = name;
      link.click();
      // The browser has begun to read it by then.
      setTimeout(() => URL.revokeObjectURL(url), 60_000);
    },
    abort: async () => {
      parts = [];
    },
  };
}
