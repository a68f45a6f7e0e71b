// Sets the colour scheme before anything is painted, so that a dark page never flashes white. A file of its own
// since the content security policy allows no inline script. Mantine reads and writes the same key.
(() => {
  let scheme = 'auto';
  try {
    scheme = localStorage.getItem('billet-color-scheme') ?? 'auto';
  } catch {
    // Storage may be forbidden; the system's scheme is a good answer then.
  }
  if (scheme !== 'light' && scheme !== 'dark')
    scheme = matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light';
  document.documentElement.setAttribute('data-mantine-color-scheme', scheme);
})();
