import { readFileSync } from 'node:fs';
import react from '@vitejs/plugin-react';
import { defineConfig, type Plugin, transformWithOxc } from 'vite';

// The API server during development. billetd serves the built dashboard itself.
const server = process.env.BILLET_URL ?? 'http://127.0.0.1:8080';
const proxy = {
  '/api': { target: server, ws: true },
  '/openapi.json': server,
  '/branding': server,
  '/docs': server,
  '/ssh': server,
};

/** The pages whose scripts boot.js requests at once, by the first part of their path. */
const entries: Record<string, string> = {
  signIn: 'src/pages/sign-in/SignIn.tsx',
  prices: 'src/pages/public/Prices.tsx',
  status: 'src/pages/public/Status.tsx',
  offers: 'src/pages/offers/Offers.tsx',
  deployments: 'src/pages/deployments/Deployments.tsx',
  deployment: 'src/pages/deployments/Detail.tsx',
  wallet: 'src/pages/wallet/Wallet.tsx',
  volumes: 'src/pages/volumes/Volumes.tsx',
};

interface Chunk {
  type: string;
  fileName: string;
  facadeModuleId?: string | null;
  imports?: string[];
  viteMetadata?: { importedCss: Set<string> };
}

/**
 * Puts boot.js into index.html, with the files that each page needs, and moves the style sheet
 * behind the page's skeleton: a style sheet before it would delay the first paint.
 */
function boot(): Plugin {
  const source = readFileSync(new URL('boot.js', import.meta.url), 'utf8');
  return {
    name: 'billet-boot',
    transformIndexHtml: {
      order: 'post',
      handler: async (html, { bundle }) => {
        const routes: Record<string, string[]> = {};
        const chunks = Object.values(bundle ?? {}) as Chunk[];
        for (const [name, entry] of Object.entries(entries)) {
          const files = new Set<string>();
          const add = (fileName: string) => {
            const chunk = chunks.find((c) => c.fileName === fileName);
            if (!chunk || files.has(fileName) || html.includes(fileName)) return;
            files.add(fileName);
            for (const css of chunk.viteMetadata?.importedCss ?? []) if (!html.includes(css)) files.add(css);
            for (const other of chunk.imports ?? []) add(other);
          };
          const page = chunks.find((c) => c.facadeModuleId?.endsWith(entry));
          if (page) add(page.fileName);
          routes[name] = [...files];
        }
        const script = source.replace('/* routes */ {}', JSON.stringify(routes));
        const { code } = await transformWithOxc(script, 'boot.js', { target: 'es2022' });
        const styles: string[] = [];
        const rest = html.replace(/\s*<link rel="stylesheet"[^>]*>/g, (link) => {
          styles.push(link);
          return '';
        });
        return (
          rest
            .replace('<!-- boot -->', () => `<script>${code.trim()}</script>`)
            // Behind the skeleton, and before what the theme adds.
            .replace('<!-- styles -->', () => styles.join(''))
        );
      },
    },
  };
}

export default defineConfig({
  plugins: [react(), boot()],
  build: {
    outDir: '../internal/dashboard/dist',
    emptyOutDir: true,
    target: 'es2022',
    // Small files stay files: the content security policy allows no inline scripts or fonts.
    assetsInlineLimit: 0,
    manifest: 'manifest.json',
    modulePreload: { polyfill: false },
    rolldownOptions: {
      output: {
        // Few files, since each costs a round trip. What a first page shows is in the first three,
        // menus and selects are in "menus", dialogs and forms in "dialogs", and each page has its
        // own.
        codeSplitting: {
          groups: [
            {
              name: 'vendor',
              priority: 30,
              test: /node_modules[\\/](react|react-dom|scheduler|react-router|cookie|@tanstack[\\/](react-query|query-core)|openapi-fetch|clsx)[\\/]/,
            },
            {
              name: 'first',
              priority: 20,
              test: /node_modules[\\/](@mantine[\\/](hooks|core[\\/]esm[\\/](core|components[\\/](ActionIcon|Alert|Burger|Button|Checkbox|CloseButton|InlineInput|Input|InputBase|Loader|Skeleton|TextInput|Transition|UnstyledButton|VisuallyHidden))[\\/])|@tanstack).*\.m?js$/,
            },
            {
              name: 'menus',
              priority: 15,
              test: /node_modules[\\/]@mantine[\\/]core[\\/]esm[\\/]components[\\/](Combobox|Menu|Popover|Select)[\\/].*\.m?js$/,
            },
            {
              name: 'dialogs',
              priority: 10,
              test: /node_modules[\\/](@mantine|@floating-ui|react-|tabbable|use-|detect-node|get-nonce|aria-hidden).*\.m?js$/,
            },
            {
              name: 'app',
              priority: 5,
              test: /web[\\/]src[\\/](api|app[\\/](?!AccountMenu|Messages|NavDrawer|Palette|ShortcutsDialog|destinations)|parts[\\/](?!Chart|ConfirmDialog|Copy|EmptyState|Facts|FormDialog|Pager|RenameDialog|RowMenu|download)).*\.tsx?$/,
            },
          ],
        },
      },
    },
  },
  server: { proxy },
  preview: { proxy },
});
