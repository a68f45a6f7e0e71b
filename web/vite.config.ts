import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

// The server that answers /api while developing; the built dashboard is served by billetd itself.
const server = process.env.BILLET_URL ?? 'http://127.0.0.1:8080';
const proxy = { '/api': { target: server, ws: true }, '/openapi.json': server, '/docs': server, '/ssh': server };

export default defineConfig({
  plugins: [react()],
  build: {
    outDir: '../internal/dashboard/dist',
    emptyOutDir: true,
    target: 'es2022',
    // Small files stay files: the content security policy allows no scripts or fonts inside of others.
    assetsInlineLimit: 0,
    // Tells the size test which scripts the first page needs.
    manifest: 'manifest.json',
    modulePreload: { polyfill: false },
  },
  server: { proxy },
  preview: { proxy },
});
