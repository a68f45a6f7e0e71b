/** The curl line that does what a page does. The key is named by a variable: a page never knows one. */
export function curl(path: string, method = 'GET', body?: object): string {
  const verb = method === 'GET' ? '' : `-X ${method} `;
  const lines = [`curl ${verb}${quote(location.origin + path)}`, '-H "Authorization: Bearer $BILLET_KEY"'];
  if (body) {
    lines.push('-H "Content-Type: application/json"');
    lines.push(`-d ${quote(JSON.stringify(body, null, 2))}`);
  }
  return lines.join(' \\\n  ');
}

/** For a POSIX shell: bare where it is harmless, else in single quotes. */
function quote(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
