// How Vite serves and builds frontend/: https://vite.dev/config/
import { resolve } from "node:path";

import tailwindcss from "@tailwindcss/vite";
import { defineConfig } from "vite";

export default defineConfig({
  root: "frontend",
  base: "/static/dist/",
  plugins: [tailwindcss()],
  server: { host: "127.0.0.1", strictPort: true },
  build: {
    // `python manage.py collectstatic` takes the files from here.
    outDir: "../static/dist",
    emptyOutDir: true,
    manifest: "manifest.json",
    rolldownOptions: { input: ["main.css", "main.js"].map((name) => resolve("frontend", name)) },
  },
});
