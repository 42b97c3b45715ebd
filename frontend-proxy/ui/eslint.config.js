import js from "@eslint/js";
import a11y from "eslint-plugin-jsx-a11y";
import hooks from "eslint-plugin-react-hooks";
import globals from "globals";
import { defineConfig, globalIgnores } from "eslint/config";
import ts from "typescript-eslint";

export default defineConfig(
  globalIgnores(["dist", "node_modules", "src/api/schema.d.ts"]),
  js.configs.recommended,
  {
    files: ["**/*.{ts,tsx}"],
    extends: [ts.configs.strictTypeChecked, ts.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
      "@typescript-eslint/consistent-type-definitions": ["error", "interface"],
      "no-restricted-globals": ["error", { name: "fetch", message: "Use api/http.ts, which knows problem bodies." }],
      "no-restricted-syntax": [
        "error",
        { selector: "JSXAttribute[name.name='style']", message: "Inline styles are for nobody: use a class." },
        { selector: "JSXAttribute[name.name='dangerouslySetInnerHTML']", message: "Never." },
      ],
    },
  },
  {
    files: ["src/**/*.tsx"],
    extends: [a11y.flatConfigs.strict, hooks.configs.flat.recommended],
    languageOptions: { globals: globals.browser },
  },
  { files: ["src/api/http.ts"], rules: { "no-restricted-globals": "off" } },
  { files: ["public/**/*.js"], languageOptions: { globals: globals.browser, sourceType: "script" } },
);
