// The script of all pages. It may import npm packages and other files of this folder.
