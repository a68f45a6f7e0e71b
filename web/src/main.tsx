import './app/mantine';
import './app/fonts.css';
import './app/global.css';
import { localStorageColorSchemeManager, MantineProvider } from '@mantine/core';
import { QueryClientProvider } from '@tanstack/react-query';
import { type ReactNode, StrictMode, useEffect, useLayoutEffect, useMemo } from 'react';
import { createRoot } from 'react-dom/client';
import { onSignInRequired } from './api/client';
import { mePath, queryClient } from './api/queries';
import { storeSite, useSite } from './api/site';
import { App } from './app/App';
import { brandedTheme, brandedVariables } from './app/brand';
import { GuardedRouter } from './app/Router';

// When a session has ended, the guard in App shows the sign-in page, which returns here.
onSignInRequired(() => queryClient.setQueryData([mePath], null));

// boot.js uses the same key.
const colorScheme = localStorageColorSchemeManager({ key: 'billet-color-scheme' });

/** Removes index.html's skeleton as soon as there is something else. */
function Ready() {
  useLayoutEffect(() => document.getElementById('boot')?.remove(), []);
  return null;
}

/** The theme in the operator's color, and their logo as the tab's icon. */
function Branded({ children }: { children: ReactNode }) {
  const site = useSite();
  const color = site?.primaryColor ?? null;
  const icon = site?.logo?.url ?? '/favicon.svg';
  const theme = useMemo(() => brandedTheme(color), [color]);
  const variables = useMemo(() => brandedVariables(color), [color]);
  useEffect(() => {
    if (site) storeSite(site);
  }, [site]);
  useEffect(() => {
    const link = document.querySelector<HTMLLinkElement>('link[rel=icon]');
    if (!link || link.getAttribute('href') === icon) return;
    link.removeAttribute('type');
    link.href = icon;
  }, [icon]);
  return (
    <MantineProvider
      theme={theme}
      defaultColorScheme="auto"
      colorSchemeManager={colorScheme}
      cssVariablesResolver={variables}
    >
      {children}
    </MantineProvider>
  );
}

const root = document.getElementById('root');
if (root)
  createRoot(root).render(
    <StrictMode>
      <QueryClientProvider client={queryClient}>
        <Branded>
          <Ready />
          <GuardedRouter>
            <App />
          </GuardedRouter>
        </Branded>
      </QueryClientProvider>
    </StrictMode>,
  );
