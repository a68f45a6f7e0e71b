import { formatNumber } from '../../../parts/locale';

/** A longer text is a file: it would take minutes, and no shell wants it. */
export const longestPaste = 1_000_000;

/**
 * Removes what a terminal would take for commands of its own, such as the end of a paste: a copied
 * text may hide it.
 */
export function cleanPaste(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it removes
  return text.replace(/\r\n?/g, '\n').replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/g, '');
}

/** Reports whether a paste must be confirmed: anything with a line break may run at once. */
export function asksBefore(text: string): boolean {
  return text.includes('\n');
}

const shownLines = 12;

interface Props {
  text: string;
  /** The program takes the text as one paste, and waits for Enter. */
  bracketed: boolean;
}

/** What the question before a paste shows. */
export function PastePreview({ text, bracketed }: Props) {
  const lines = text.replace(/\n$/, '').split('\n');
  return (
    <div className="stack">
      <div>
        {bracketed
          ? 'The program in the terminal receives the text as one paste. It may still run it.'
          : 'The shell runs each line as soon as it arrives.'}
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling text must be reachable by keyboard */}
      <section className="paste-preview" tabIndex={0} aria-label="Text to paste">
        <pre>{lines.slice(0, shownLines).join('\n')}</pre>
      </section>
      {lines.length > shownLines && (
        <div className="small dim">{formatNumber(lines.length - shownLines)} more lines</div>
      )}
    </div>
  );
}

/** The title of the question and its button. */
export function pasteTitle(text: string): string {
  const lines = text.replace(/\n$/, '').split('\n').length;
  return lines === 1 ? 'Paste and run this line?' : `Paste ${formatNumber(lines)} lines?`;
}
