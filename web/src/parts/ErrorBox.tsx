import { Alert, Button } from '@mantine/core';
import { type ApiError, asApiError } from '../api/error';

const titles: Record<string, string> = {
  NO_ANSWER: 'No answer',
  INVALID_REQUEST: 'Something needs another look',
  INSUFFICIENT_BALANCE: 'Not enough available',
  INSUFFICIENT_SCOPE: 'Your role does not allow this',
  SECOND_FACTOR_REQUIRED: 'That code is not the right one',
  SIGN_IN_FAILED: 'That did not open the door',
  NOT_FOUND: 'Not found',
  CONFLICT: 'Not possible just now',
  LIMIT_REACHED: 'Limit reached',
  OFFER_UNAVAILABLE: 'This offer is gone',
  MINIMUM_RUNTIME_NOT_MET: 'Too early',
  RATE_LIMIT_EXCEEDED: 'Too many requests',
  SERVICE_UNAVAILABLE: 'Temporarily unavailable',
  INTERNAL_ERROR: 'The server failed',
  UNSUPPORTED_BY_PROVIDER: 'The provider cannot do this',
};

/** A failure with its code, message and request id, and another try where that may help. */
export function ErrorBox({ error, retry }: { error: unknown; retry?: () => void }) {
  if (!error) return null;
  const failure: ApiError = asApiError(error);
  return (
    <Alert
      color="red"
      variant="outline"
      role="alert"
      title={titles[failure.code] ?? 'That did not work'}
      className="error-box"
    >
      <div>{failure.message}</div>
      {failure.fields.length > 1 && (
        <ul style={{ margin: '6px 0 0', paddingLeft: 18 }}>
          {failure.fields.map((f) => (
            <li key={`${f.field} ${f.message}`}>
              <b>{f.field}</b> {f.message}
            </li>
          ))}
        </ul>
      )}
      {failure.retryAfter && <div>Try again in {failure.retryAfter} s.</div>}
      <div className="small dim mono" style={{ marginTop: 6, overflowWrap: 'anywhere' }}>
        {failure.code}
        {failure.requestId && ` · ${failure.requestId}`}
      </div>
      {retry && (
        <Button size="xs" variant="default" mt="xs" onClick={retry}>
          Try again
        </Button>
      )}
    </Alert>
  );
}
