import { formatMoney, type Micro, micro } from './money';

interface Props {
  /** US dollars as the API gives them, or… */
  usd?: number | null;
  /** …an amount already in micro-dollars. */
  amount?: Micro;
  /** "/h" behind it, in a quieter voice. */
  per?: string;
  /** Decimals at least (2) and at most (6). */
  least?: number;
  most?: number;
  /** Shows a plus before what comes in. */
  sign?: boolean;
}

/** An amount of money; "–" where there is none. */
export function Money({ usd, amount, per, least = 2, most = 6, sign = false }: Props) {
  const value = amount ?? (usd === null || usd === undefined ? null : micro(usd));
  if (value === null) return <span className="dim">–</span>;
  // Cents are what people read; what is below them is there, and quieter.
  const [, main, rest] = /^([^.]*(?:\.\d\d)?)(\d*)$/.exec(formatMoney(value, least, most)) ?? [];
  return (
    <span className="nowrap">
      {sign && value > 0 ? '+' : ''}
      {main}
      {rest && <span className="frac">{rest}</span>}
      {per && <span className="dim"> {per}</span>}
    </span>
  );
}
