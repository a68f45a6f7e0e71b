const browsers = { 'Edg/': 'Edge', 'OPR/': 'Opera', 'Firefox/': 'Firefox', 'Chrome/': 'Chrome', 'Safari/': 'Safari' };
const systems = {
  iPhone: 'iPhone',
  iPad: 'iPad',
  Android: 'Android',
  Windows: 'Windows',
  'Mac OS': 'macOS',
  Linux: 'Linux',
};

/** A user agent as "Firefox on Linux": enough to recognize one's own. */
export function browserOf(agent: string): string {
  const match = (names: Record<string, string>) => Object.entries(names).find(([mark]) => agent.includes(mark))?.[1];
  return [match(browsers) ?? (agent.slice(0, 40) || 'Unknown'), match(systems)].filter(Boolean).join(' on ');
}
