// What the end of a terminal's session means, and whether anything may still be running in it.

export interface End {
  message: string;
  /** The shell's exit status; null where it did not tell one. */
  exitCode: number | null;
  /** The WebSocket's close code; 1006 where the connection broke off or fell silent. */
  closeCode: number;
}

/** The close codes after which another try makes sense: broken off, server restarting, try again later. */
const passing = new Set([1006, 1012, 1013]);

/** Whether the connection was lost, rather than ended by the shell, the server or this page. */
export function lost(end: End): boolean {
  return end.exitCode === null && passing.has(end.closeCode);
}

/** Milliseconds before the next try: 1 s after the first failure, then twice as long each time, at most 15 s. */
export function pauseBefore(failures: number): number {
  return Math.min(15_000, 1000 * 2 ** Math.max(0, failures - 1));
}

export function endText(end: End): string {
  if (end.exitCode !== null)
    return end.exitCode === 0 ? 'The shell ended.' : `The shell ended with code ${end.exitCode}.`;
  return end.message || 'The connection ended.';
}

/**
 * Whether the line before the cursor is a shell's prompt with nothing typed after it. A page cannot know what a shell
 * runs; where this is false, something may be running, and leaving asks first.
 */
export function atPrompt(alternateScreen: boolean, beforeCursor: string): boolean {
  return !alternateScreen && /[$#%❯] *$/.test(beforeCursor);
}
