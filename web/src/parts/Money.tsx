import { formatMoney, formatTotal, type Micro, micro } from './money';

interface Props {
  /** US dollars as in the API's JSON, or… */
  usd?: number | null;
  /** …an amount already in micro-dollars. */
  amount?: Micro;
  /** The unit of a rate, such as "/hr". */
  per?: string;
  /** A rate, shown with up to six decimals, whose unit is elsewhere. */
  rate?: boolean;
  /** Shows a plus before a positive amount. */
  sign?: boolean;
}

/**
 * An amount of money: a total to the cent with the exact amount on hover, or a rate. "–" where
 * there is none.
 */
export function Money({ usd, amount, per, rate = per !== undefined, sign = false }: Props) {
  const value = amount ?? (usd === null || usd === undefined ? null : micro(usd));
  if (value === null) return <span className="dim">–</span>;
  const exact = formatMoney(value);
  const shown = rate ? exact : formatTotal(value);
  const plus = sign && value > 0 ? '+' : '';
  return (
    <span className="nowrap" title={shown === exact ? undefined : plus + exact}>
      {plus}
      {shown}
      {per && <span className="dim">{per}</span>}
    </span>
  );
}
