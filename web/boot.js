// Runs in index.html before anything is painted or loaded (vite.config.ts puts it there, and the server allows it by its
// hash). Sets the color scheme, so that a dark page never flashes white, and begins what the page will need: its scripts,
// and its first data, which otherwise wait for the scripts that ask for them.
((routes) => {
  const root = document.documentElement;
  const stored = (key) => {
    try {
      return localStorage.getItem(key);
    } catch {
      // Storage may be forbidden; the defaults are good answers then.
      return null;
    }
  };
  // The key is Mantine's, see main.tsx.
  let scheme = stored('billet-color-scheme');
  if (scheme !== 'light' && scheme !== 'dark')
    scheme = matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light';
  root.setAttribute('data-mantine-color-scheme', scheme);

  // api/session.ts keeps this; without it, asking would only be refused.
  const signedIn = stored('billet-signed-in') === '1';
  if (!signedIn) root.setAttribute('data-boot', 'plain');
  const [, first, second] = location.pathname.split('/');
  let page = 'signIn';
  if (signedIn) page = first === 'deployments' && second ? 'deployment' : first || 'offers';
  for (const file of routes[page] ?? []) {
    const link = document.createElement('link');
    const style = file.endsWith('.css');
    link.rel = style ? 'preload' : 'modulepreload';
    if (style) link.as = 'style';
    else link.crossOrigin = '';
    link.href = `/${file}`;
    document.head.append(link);
  }
  const early = {};
  const ask = (url) => {
    early[url] = fetch(url);
    // Whoever asks for it hears of a failure.
    early[url].catch(() => {});
  };
  if (signedIn) {
    ask('/api/v1/account/me');
    ask('/api/v1/inventory/wallet');
    if (!location.search) {
      if (location.pathname === '/offers') ask('/api/v1/inventory/offers?available=true&page=1&limit=100');
      if (location.pathname === '/deployments') ask('/api/v1/inventory/deployments?sort=-createdAt&page=1&limit=100');
    }
  }
  window.billetEarly = early;
})(/* routes */ {});
