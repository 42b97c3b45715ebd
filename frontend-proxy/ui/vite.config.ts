import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

const api = process.env.KEYBEARER_API ?? "http://127.0.0.1:8080";
const port = Number(process.env.KEYBEARER_UI_PORT ?? 5173);

export default defineConfig({
  plugins: [react()],
  build: {
    target: "es2022",
    // The content security policy allows neither data: fonts nor inline scripts, so nothing is inlined.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: {
      output: {
        // A handful of files instead of a hundred of a few hundred bytes each.
        codeSplitting: {
          groups: [
            { name: "react", test: /node_modules[\\/](react|react-dom|scheduler|react-router|@tanstack)[\\/]/ },
            { name: "kit", test: /src[\\/](kit|api)[\\/]|lucide-react|simple-icons/ },
          ],
        },
      },
    },
  },
  server: {
    host: "127.0.0.1",
    port,
    strictPort: true,
    // The Host header is passed on unchanged: the API compares it with the Origin of every unsafe request.
    proxy: { "/api": { target: api, changeOrigin: false, xfwd: true } },
  },
});
