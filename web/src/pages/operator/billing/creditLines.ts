import { type Micro, parseMoney, sum } from '../../../parts/money';

/** A line of a credit note as it is typed. */
export interface TypedLine {
  id: number;
  text: string;
  amount: string;
}

/** The lines with their amounts; null while one of them is not complete. */
export function parseLines(lines: TypedLine[]): { text: string; amount: Micro }[] | null {
  const parsed = lines.map((l) => ({ text: l.text.trim(), amount: parseMoney(l.amount) }));
  return parsed.every((l): l is { text: string; amount: Micro } => l.text !== '' && Number(l.amount) > 0)
    ? parsed
    : null;
}

/** The sum of the amounts that can be read. */
export function sumOfLines(lines: TypedLine[]): Micro {
  return sum(...lines.map((l) => parseMoney(l.amount) ?? (0 as Micro)));
}
