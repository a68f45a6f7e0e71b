import { formatMoney, type Micro, minus } from '../../../parts/money';

/** What happens when a transfer of `arrived` is confirmed for a top-up of `asked`. */
export function arrivalText(asked: Micro, arrived: Micro): string {
  const credited = `${formatMoney(arrived)} is credited`;
  if (arrived === asked) return `${credited}, as asked for.`;
  if (arrived < asked) {
    const missing = formatMoney(minus(asked, arrived));
    const then = 'The top-up ends with it: money that arrives later needs another top-up.';
    return `${credited}, ${missing} less than asked for. ${then}`;
  }
  return `${credited}, ${formatMoney(minus(arrived, asked))} more than asked for.`;
}
