// Runs in index.html before anything is painted or loaded (vite.config.ts puts it there, and the
// server allows it by its hash). It sets the color scheme, so that a dark page never flashes white.
// It also requests the page's scripts and its first data, which would otherwise wait for the
// scripts.
((routes) => {
  const root = document.documentElement;
  const stored = (key) => {
    try {
      return localStorage.getItem(key);
    } catch {
      // Storage may be blocked; then the defaults apply.
      return null;
    }
  };
  // The key is set in main.tsx.
  let scheme = stored('billet-color-scheme');
  if (scheme !== 'light' && scheme !== 'dark')
    scheme = matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light';
  root.setAttribute('data-mantine-color-scheme', scheme);

  // api/session.ts stores this. Without a session, other requests would only be refused.
  const signedIn = stored('billet-signed-in') === '1';
  const [, first, second] = location.pathname.split('/');
  const open = first === 'prices' || first === 'status';
  if (!signedIn || open) root.setAttribute('data-boot', 'plain');
  let page = open ? first : 'signIn';
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
  // The operator's name of this cloud; api/site.ts stores it.
  try {
    document.title = JSON.parse(stored('billet-site')).name || document.title;
  } catch {
    // This is the first visit.
  }
  const early = {};
  const request = (url) => {
    early[url] = fetch(url);
    // The call that uses the response handles the failure.
    early[url].catch(() => {});
  };
  if (!signedIn && !open && first !== 'setup') request('/api/v1/account/sign-in');
  if (signedIn) {
    request('/api/v1/account/me');
    request('/api/v1/inventory/wallet');
    if (!location.search) {
      if (location.pathname === '/offers') request('/api/v1/inventory/offers?available=true&page=1&limit=100');
      if (location.pathname === '/deployments')
        request('/api/v1/inventory/deployments?sort=-createdAt&page=1&limit=100');
    }
  }
  window.billetEarly = early;
})(/* routes */ {});
