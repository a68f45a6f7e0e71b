import './app/mantine';
import './app/fonts.css';
import './app/global.css';
import { localStorageColorSchemeManager, MantineProvider } from '@mantine/core';
import { QueryClientProvider } from '@tanstack/react-query';
import { StrictMode, useLayoutEffect } from 'react';
import { createRoot } from 'react-dom/client';
import { onSignInRequired } from './api/client';
import { mePath, queryClient } from './api/queries';
import { App } from './app/App';
import { GuardedRouter } from './app/Router';
import { cssVariables, theme } from './app/theme';

// When a session has ended, the guard in App shows the sign-in page, which returns here.
onSignInRequired(() => queryClient.setQueryData([mePath], null));

// boot.js uses the same key.
const colorScheme = localStorageColorSchemeManager({ key: 'billet-color-scheme' });

/** Removes index.html's skeleton as soon as there is something else. */
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
