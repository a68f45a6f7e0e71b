import './app/mantine';
import './app/global.css';
import { localStorageColorSchemeManager, MantineProvider } from '@mantine/core';
import { QueryClientProvider } from '@tanstack/react-query';
import { StrictMode, useLayoutEffect } from 'react';
import { createRoot } from 'react-dom/client';
import { onSignInRequired } from './api/client';
import { key, queryClient } from './api/queries';
import { App } from './app/App';
import { GuardedRouter } from './app/Router';
import { cssVariables, theme } from './app/theme';

// A session that ended is nobody's: the guard in App shows the sign-in page and comes back afterwards.
onSignInRequired(() => queryClient.setQueryData(key.me, null));

// The key is boot.js's, too.
const colorScheme = localStorageColorSchemeManager({ key: 'billet-color-scheme' });

/** Takes index.html's skeleton away in the moment in which there is something else. */
function Ready() {
  useLayoutEffect(() => document.getElementById('boot')?.remove(), []);
  return null;
}

const root = document.getElementById('root');
if (root)
  createRoot(root).render(
    <StrictMode>
      <MantineProvider
        theme={theme}
        defaultColorScheme="auto"
        colorSchemeManager={colorScheme}
        cssVariablesResolver={cssVariables}
      >
        <Ready />
        <QueryClientProvider client={queryClient}>
          <GuardedRouter>
            <App />
          </GuardedRouter>
        </QueryClientProvider>
      </MantineProvider>
    </StrictMode>,
  );
