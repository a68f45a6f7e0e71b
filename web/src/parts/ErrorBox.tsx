import { Alert, Button } from '@mantine/core';
import { type ApiError, asApiError } from '../api/error';

const titles: Record<string, string> = {
  NO_ANSWER: 'No response',
  INVALID_REQUEST: 'Check the highlighted fields',
  INSUFFICIENT_BALANCE: 'Insufficient balance',
  INSUFFICIENT_SCOPE: 'Your role does not allow this',
  SECOND_FACTOR_REQUIRED: 'Wrong code',
  SIGN_IN_FAILED: 'Sign-in failed',
  NOT_FOUND: 'Not found',
  CONFLICT: 'Conflict',
  PRECONDITION_FAILED: 'Changed in the meantime',
  LIMIT_REACHED: 'Limit reached',
  OFFER_UNAVAILABLE: 'Offer not available',
  MINIMUM_RUNTIME_NOT_MET: 'Minimum runtime not met',
  RATE_LIMIT_EXCEEDED: 'Too many requests',
  SERVICE_UNAVAILABLE: 'Temporarily unavailable',
  INTERNAL_ERROR: 'Internal server error',
  UNSUPPORTED_BY_PROVIDER: 'Not supported by this provider',
};

/** An error with its message, code and request ID, and a retry where that may help. */
export function ErrorBox({ error, retry }: { error: unknown; retry?: () => void }) {
  if (!error) return null;
  const failure: ApiError = asApiError(error);
  return (
    <Alert
      color="red"
      variant="outline"
      role="alert"
      title={titles[failure.code] ?? 'Something went wrong'}
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
      {failure.retryAfter && <div>Retry in {failure.retryAfter} s.</div>}
      <div className="small dim mono" style={{ marginTop: 6, overflowWrap: 'anywhere' }}>
        {failure.code}
        {failure.requestId && ` · request ${failure.requestId}`}
      </div>
      {retry && (
        <Button size="xs" variant="default" mt="xs" onClick={retry}>
          Retry
        </Button>
      )}
    </Alert>
  );
}
