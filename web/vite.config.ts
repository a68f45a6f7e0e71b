import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

// The server that answers /api while developing; the built dashboard is served by billetd itself.
const server = process.env.BILLET_URL ?? 'http://127.0.0.1:8080';
const proxy = { '/api': { target: server, ws: true }, '/openapi.json': server, '/docs': server };

export default defineConfig({
  plugins: [react()],
  build: {
    outDir: '../internal/dashboard/dist',
    // scripts/finish.mjs removes what the last build wrote: the folder has a committed placeholder, which must stay.
    emptyOutDir: false,
    target: 'es2022',
    // The content security policy allows no data: scripts or fonts; small files stay files.
    assetsInlineLimit: 0,
    manifest: 'assets/manifest.json',
    modulePreload: { polyfill: false },
  },
  server: { proxy },
  preview: { proxy },
});
