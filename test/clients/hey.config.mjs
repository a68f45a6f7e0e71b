// What @hey-api/openapi-ts makes; the test says of what, and where to.
export default {
  input: process.env.DOCUMENT,
  output: { path: process.env.OUTPUT, module: { extension: '.js' } },
  plugins: ['@hey-api/typescript', '@hey-api/sdk', '@hey-api/client-fetch'],
};
