/** Copies a text. Without HTTPS a browser has no clipboard API; the older command still works. */
export async function copyText(text: string): Promise<void> {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const put = (e: ClipboardEvent) => {
    e.clipboardData?.setData('text/plain', text);
    e.preventDefault();
    e.stopImmediatePropagation();
  };
  document.addEventListener('copy', put, true);
  try {
    if (!document.execCommand('copy')) throw new Error('The browser blocked copying.');
  } finally {
    document.removeEventListener('copy', put, true);
  }
}
