// Package client is the Go client of Billet for tenants: browse offers, deploy machines and wait
// for them, manage SSH keys, volumes and webhooks, read the wallet, and follow events. It only
// needs the standard library.
//
//	c, err := client.New(client.ConfigFromEnv()) // BILLET_URL and BILLET_API_KEY
//	d, err := c.Deployments.Create(ctx, client.CreateDeployment{
//		Name: "training", OfferID: "off_abc123", SSHKeyID: "ssh_…",
//	})
//	d, err = c.Deployments.WaitForRunning(ctx, d.ID, nil)
//	fmt.Println(*d.SSHCommand)
//
// It owns how a call is made: one Idempotency-Key for each POST that honors it, kept across
// retries, so that a lost response has no second effect; which errors are retried and when; typed
// errors; pagination; long polls; and event streams that resume after an interruption. It does not
// own calls that need a signed-in user (API keys, members, sessions), operator calls, and the
// WebSocket of the terminal. A tenant's API key cannot make the former, and a machine's SSH address
// replaces the latter.
//
// # Conventions
//
// Money is exact, in micro-dollars. Times are UTC. A field that can be null is a pointer.
// Enumerations such as statuses are string types with constants. A newer server can send other
// values, and new fields, which are ignored.
//
// Every method takes a context first and call options last: WithResponse returns the rate limit and
// the request id, WithIdempotencyKey sets the key of a POST. Client.Raw makes calls without a
// method of their own. Errors of the API are *Error; errors.Is compares their codes:
//
//	if errors.Is(err, client.ErrInsufficientBalance) { … }
//
// A program without a key gets one by AuthorizeDevice, which a signed-in user approves in the
// dashboard.
//
// # Invariants
//
//   - A POST is only repeated with the same key and the same bytes.
//   - A request is not retried after a permanent error or after its context has ended.
//   - Redirects are not followed, since a POST that becomes a GET would look like a success.
//   - The API key is in no error and in no printed Client or Config.
package client
