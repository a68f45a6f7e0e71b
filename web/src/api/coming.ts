// Shapes of calls that docs/openapi.json does not have yet, as they are designed. Each entry goes, and its calls
// move to the typed client, once the document has it.

/** GET /operator/simulator. */
export interface Simulator {
  now: string;
}

export interface SimFault {
  id: string;
  kind: string;
  provider?: string;
  operation?: string;
  offer?: string;
  percent?: number;
  count?: number;
  value?: string;
  forSeconds?: number;
  until?: string;
  asked: number;
  struck: number;
}
