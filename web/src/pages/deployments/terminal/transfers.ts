// Uploads and downloads, one after another, so that neither the browser's memory nor the connection
// holds more than one file's pieces.

import { useEffect, useRef, useState } from 'react';
import type { Files, Running } from '../../../api/ssh';
import { savedName } from './fileNames';
import { type Sink, sinkFor } from './save';
import { asSSHError } from './sshError';

export interface Transfer {
  id: number;
  name: string;
  direction: 'upload' | 'download';
  /** Null while it is unknown. */
  size: number | null;
  sent: number;
  state: 'waiting' | 'running' | 'done' | 'failed' | 'canceled';
  error?: string;
}

interface Job {
  id: number;
  start: (files: Files, onProgress: (bytes: number) => void, onSize: (bytes: number) => void) => Running;
  after: () => Promise<void>;
  undo: () => Promise<void>;
}

/** How often the progress is shown, in milliseconds. */
const pace = 100;

export function useTransfers(files: Files | null, onDone: () => void) {
  const [list, setList] = useState<Transfer[]>([]);
  const queue = useRef<Job[]>([]);
  const current = useRef<{ id: number; running: Running } | null>(null);
  const lost = useRef<Files | null>(null);
  const last = useRef(0);
  const latest = useRef({ files, onDone });
  latest.current = { files, onDone };

  const change = (id: number, to: Partial<Transfer>) =>
    setList((old) => old.map((t) => (t.id === id ? { ...t, ...to } : t)));

  const next = async () => {
    const { files: open } = latest.current;
    const job = queue.current[0];
    if (current.current || !job || !open || open === lost.current) return;
    queue.current.shift();
    change(job.id, { state: 'running' });
    let shown = 0;
    const progress = (sent: number) => {
      if (Date.now() - shown < pace) return;
      shown = Date.now();
      change(job.id, { sent });
    };
    try {
      const running = job.start(open, progress, (size) => change(job.id, { size }));
      current.current = { id: job.id, running };
      await running.done;
      await job.after();
      change(job.id, { state: 'done' });
    } catch (thrown) {
      await job.undo();
      const { code, message } = asSSHError(thrown) as { code?: string; message: string };
      // The others wait for the next connection.
      if (code === 'UNREACHABLE') lost.current = open;
      change(job.id, code === 'CANCELED' ? { state: 'canceled' } : { state: 'failed', error: message });
    }
    current.current = null;
    latest.current.onDone();
    void next();
  };
  const nextNow = useRef(next);
  nextNow.current = next;
  // Those that wait begin when the connection is back.
  useEffect(() => {
    if (files) void nextNow.current();
  }, [files]);

  const add = (t: Pick<Transfer, 'name' | 'direction' | 'size'>, job: Omit<Job, 'id'>) => {
    const id = ++last.current;
    setList((old) => [...old, { ...t, id, sent: 0, state: 'waiting' }]);
    queue.current.push({ ...job, id });
    void next();
  };
  const nothing = async () => {};

  return {
    list,
    busy: list.some((t) => t.state === 'waiting' || t.state === 'running'),
    upload: (path: string, file: File, replace: boolean) =>
      add(
        { name: file.name, direction: 'upload', size: file.size },
        {
          start: (open, onProgress) => open.upload(path, file, { replace, onProgress }),
          after: nothing,
          undo: nothing,
        },
      ),
    /** Must be called by a click: the browser may ask where to save the file. */
    download: async (path: string, name: string, instead: string) => {
      const sink: Sink | null = await sinkFor(savedName(name), instead);
      if (!sink) return;
      add(
        { name, direction: 'download', size: null },
        {
          start: (open, onProgress, onSize) =>
            open.download(path, {
              onProgress,
              onData: sink.onData,
              onSize: (bytes) => {
                onSize(bytes);
                sink.onSize(bytes);
              },
            }),
          after: sink.finish,
          undo: sink.abort,
        },
      );
    },
    cancel: (id: number) => {
      if (current.current?.id === id) return current.current.running.cancel();
      const job = queue.current.find((j) => j.id === id);
      queue.current = queue.current.filter((j) => j.id !== id);
      void job?.undo();
      change(id, { state: 'canceled' });
    },
    dismiss: (id: number) => setList((old) => old.filter((t) => t.id !== id)),
  };
}
