/**
 * The curl command that does what a page does. The key is a variable, since a page never knows it.
 */
export function curl(path: string, method = 'GET', body?: object): string {
  const option = method === 'GET' ? '' : `-X ${method} `;
  const lines = [`curl ${option}${quote(location.origin + path)}`, '-H "Authorization: Bearer $BILLET_API_KEY"'];
  if (body) {
    lines.push('-H "Content-Type: application/json"');
    lines.push(`-d ${quote(JSON.stringify(body, null, 2))}`);
  }
  return lines.join(' \\\n  ');
}

/** Quotes a text for a POSIX shell where it needs that. */
function quote(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
