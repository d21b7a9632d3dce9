// How Vite serves and builds frontend/: https://vite.dev/config/
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
    rolldownOptions: { input: ["frontend/main.css", "frontend/main.js"] },
  },
});
