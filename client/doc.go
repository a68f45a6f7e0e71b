// Package client is the Go client of Billet for tenants: browse offers, deploy machines, wait for them, manage SSH keys and
// volumes, watch the wallet, follow events, and have them sent to webhooks. It needs the standard library only.
//
//	c, err := client.New(client.ConfigFromEnv()) // BILLET_URL and BILLET_API_KEY
//	d, err := c.Deployments.Create(ctx, client.CreateDeployment{Name: "training", OfferID: "off_abc123", SSHKeyID: "ssh_…"})
//	d, err = c.Deployments.WaitForRunning(ctx, d.ID, nil)
//	fmt.Println(*d.SSHCommand)
//
// It owns how a call is made: one Idempotency-Key for each POST, kept over its retries, so that an answer that gets lost
// makes nothing twice; which failures are tried again and when; errors that a program can branch on; pages; long polls; and the
// stream of events, which goes on where it broke off. It does not own the calls that need a signed-in user (API keys, people,
// sessions), those of who runs the cloud, and the WebSocket of the terminal: an API key of a tenant may not make them, or
// a machine's SSH address does better.
//
// # Conventions
//
// Money is exact, in micro-dollars. Times are UTC. A field that may be null is a pointer. Ids are strings. Words such as a status
// are string types with constants; a server that is newer may send others, and new fields, which are left out.
//
// Every method takes a context, and call options last: WithResponse tells the rate limit and the request id of an answer,
// WithIdempotencyKey gives the key of a POST. Client.Raw makes a call that has no method here. Errors of the API are *Error; errors.Is tells their codes apart:
//
//	if errors.Is(err, client.ErrInsufficientBalance) { … }
//
// A program without a key requests one with AuthorizeDevice, and a signed-in user approves it in the dashboard.
//
// # What is always true
//
//   - A POST is sent again with the same key and the same bytes only.
//   - Nothing is tried again that the server refused for good, and nothing after its context has ended.
//   - No redirect is followed: a POST that became a GET would look like success.
//   - The API key is in no error and in no printed Client or Config.
package client
