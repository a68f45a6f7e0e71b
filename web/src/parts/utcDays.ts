// Days as an operator types them, in UTC like the command line's: a last day counts until its end.

const day = 24 * 3_600_000;

/** The instant at which a day of a date field begins. */
export function beginOf(date: string): string {
  return new Date(`${date}T00:00:00Z`).toISOString();
}

/** The instant at which a day of a date field ends. */
export function endOf(date: string): string {
  return new Date(Date.parse(`${date}T00:00:00Z`) + day).toISOString();
}

/** The day of an instant that begins something, for a date field. */
export function firstDay(at: string | null): string {
  return at ? new Date(at).toISOString().slice(0, 10) : '';
}

/** The last day before an instant that ends something, for a date field. */
export function lastDay(at: string | null): string {
  return at ? new Date(Date.parse(at) - 1).toISOString().slice(0, 10) : '';
}
