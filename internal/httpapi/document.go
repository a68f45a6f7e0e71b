package httpapi

import (
	"fmt"
	"strings"

	"github.com/billetcloud/billet/internal/rest"
	"github.com/danielgtaylor/huma/v2"
)

const title = "Bare Metal GPU API"

// The tags, in the order of the documentation.
const (
	tagOffers      = "Offers"
	tagDeployments = "Deployments"
	tagSSHKeys     = "SSH keys"
	tagImages      = "Images"
	tagVolumes     = "Volumes"
	tagWallet      = "Wallet"
	tagEvents      = "Events"
	tagWebhooks    = "Webhooks"
	tagAccount     = "Account"
	tagOperator    = "Operator"
	tagService     = "Service"
	tagPublic      = "Public"
)

// foreignNames explains names that other clouds have and this API does not.
var foreignNames = map[string]string{
	"teamId": "an API key belongs to one account and spends its money: use a key of that account",
	"team":   "an API key belongs to one account and spends its money: use a key of that account",
}

// schemaNames are the names of schemas whose types have the same name in several packages, or one
// that says too little without the package.
var schemaNames = map[string]string{
	"promo.Code":              "PromoCode",
	"promo.Redemption":        "PromoCodeRedemption",
	"rack.Image":              "MachineImage",
	"osimage.Image":           "Image",
	"rack.Transition":         "MachineTransition",
	"rack.Hardware":           "MachineHardware",
	"rack.Drive":              "MachineDrive",
	"announcement.Draft":      "AnnouncementDraft",
	"settings.Change":         "SettingsChange",
	"webhook.Endpoint":        "Webhook",
	"webhook.Delivery":        "WebhookDelivery",
	"webhook.Attempt":         "WebhookAttempt",
	"sshkey.Key":              "SSHKey",
	"account.Key":             "APIKey",
	"account.MemberInfo":      "Member",
	"account.Creator":         "UserReference",
	"account.InvitationView":  "InvitationText",
	"audit.Entry":             "AuditEntry",
	"deployment.KeyRef":       "SSHKeyReference",
	"operator.Account":        "OperatorAccount",
	"operator.Deployment":     "OperatorDeployment",
	"operator.Volume":         "OperatorVolume",
	"operator.Quotas":         "OperatorQuotas",
	"quota.Limits":            "QuotaLimits",
	"quota.Usage":             "QuotaUsage",
	"httpapi.quotaView":       "Quotas",
	"operator.Job":            "FailingJob",
	"settings.Mail":           "MailServer",
	"mail.Switch":             "MailSwitch",
	"mail.TestResult":         "MailTestResult",
	"httpapi.providerAccount": "OperatorProvider",
	"httpapi.storedAccount":   "ProviderAccount",
	"httpapi.checkResults":    "ProviderCheck",
	"provideraccount.Result":  "ProviderCheckResult",
	"provideraccount.Kind":    "ProviderKind",
	"httpapi.walletView":      "Wallet",
	"invoice.Document":        "Invoice",
	"invoice.Summary":         "InvoiceSummary",
	"invoice.Line":            "InvoiceLine",
	"invoice.Balance":         "InvoiceBalance",
	"invoice.Movement":        "InvoiceMovement",
	"invoice.EarlierMonth":    "InvoiceEarlierMonth",
	"invoice.Totals":          "InvoiceTotals",
	"invoice.Treatment":       "TaxTreatment",
	"invoice.Settings":        "InvoiceSettings",
	"invoice.Buyer":           "BillingDetails",
	"invoice.Details":         "AccountBillingDetails",
	"invoice.MissingDetail":   "MissingBillingDetail",
	"deployment.Health":       "DeploymentHealth",
	"health.Check":            "HealthCheck",
	"health.Node":             "NodeHealth",
	"gpucheck.Check":          "GPUCheck",
	"gpucheck.GPU":            "CheckedGPU",
}

// newDocument is the OpenAPI document without its operations.
func newDocument(version string) *huma.OpenAPI {
	return &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info: &huma.Info{
			Title: title, Version: version, Description: introduction(),
			Contact: &huma.Contact{Name: "Billet", URL: "https://github.com/billetcloud/billet"},
			License: &huma.License{Name: "Apache License 2.0", Identifier: "Apache-2.0"},
		},
		Servers: []*huma.Server{
			{URL: "/", Description: "The server that this document comes from (GET /openapi.json)."},
		},
		Components: &huma.Components{SecuritySchemes: map[string]*huma.SecurityScheme{
			rest.BearerScheme: {
				Type:        "http",
				Scheme:      "bearer",
				Description: "An API key: `Authorization: Bearer pk_live_…`",
			},
			rest.HeaderScheme: {
				Type:        "apiKey",
				In:          "header",
				Name:        "X-API-Key",
				Description: "The same key in a header of its own.",
			},
			rest.SessionScheme: {
				Type: "apiKey", In: "cookie", Name: sessionCookieName,
				Description: "A signed-in user; see POST /api/v1/account/sessions. Over https the cookie's name is " +
					"__Host-" + sessionCookieName + ".",
			},
		}},
		Tags: []*huma.Tag{
			{Name: tagOffers, Description: "GPU offers with regions, availability and prices."},
			{Name: tagDeployments, Description: "Machines, from deploy to termination."},
			{Name: tagSSHKeys, Description: "Public keys for SSH access to machines."},
			{Name: tagImages, Description: "Your own disk images to install machines with."},
			{Name: tagVolumes, Description: "Storage that outlives deployments."},
			{Name: tagWallet, Description: "Balance, transactions and usage."},
			{Name: tagEvents, Description: "Events of the account's resources, live or as a list."},
			{Name: tagWebhooks, Description: "Signed event notifications to your endpoint; see docs/webhooks.md."},
			{
				Name:        tagAccount,
				Description: "Sign-in, members and roles, API keys and the audit log. For users in a browser.",
			},
			{
				Name:        tagOperator,
				Description: "Issues, accounts, providers, jobs and margins. For the operator of this cloud.",
			},
			{
				Name:        tagPublic,
				Description: "What anyone can read without an API key: the site, and public prices and status.",
			},
			{Name: tagService, Description: "Liveness, readiness and the index."},
		},
	}
}

// introduction is the first page of the documentation.
func introduction() string {
	var b strings.Builder
	b.WriteString(introductionText)
	for _, c := range rest.Codes {
		retryable := "no"
		if c.Retryable {
			retryable = "yes"
		}
		_, _ = fmt.Fprintf(&b, "| %d | `%s` | %s | %s |\n", c.Status, c.Code, retryable, c.Meaning)
	}
	b.WriteString(oauthIntroduction)
	for _, c := range rest.OAuthCodes {
		_, _ = fmt.Fprintf(&b, "| `%s` | %s |\n", c.Code, c.Meaning)
	}
	return b.String()
}

var introductionText = strings.ReplaceAll(`Browse GPU offers, deploy bare metal machines, manage SSH keys and
persistent volumes, and track your spend.

## Authentication

Send an API key as ~Authorization: Bearer pk_live_…~ (or in ~X-API-Key~). Create keys in the dashboard under
Settings → API keys. A key has scopes; each operation names the scope that it requires. A signed-in user can
call the same operations: their role in the account is a set of scopes.

## Responses

Success is ~{"success": true, "data": …}~. Lists add ~pagination~: pass its ~nextCursor~ as ~cursor~ for the
next page, or use page numbers, which reach the first 10,000 entries of a long list. Failure is always
~{"success": false, "error": {"code", "message", "requestId", "retryable", "details"}}~. Branch on the code
and show the message. ~retryable~ reports whether the same request may succeed when it is sent again
unchanged. INVALID_REQUEST lists every error at once in ~details.fields~. A query parameter that takes a list
may be repeated, or have its values separated by commas. Times are RFC 3339 in UTC. Amounts are numbers of US
dollars with at most six decimals. Every response has an ~X-Request-Id~ that the server assigns. HEAD works
wherever GET does. Pages of other websites cannot call the API (no CORS).

## Compatibility

Requests are closed: an unknown field or parameter is refused, so that a typo is found. Responses and events
are open: new fields and new event types may appear at any time, so ignore what you do not know. An existing
field keeps its name, type and meaning.

## Rate limits

Per API key and minute: 60 reads, 20 writes, 5 deploys. A deploy does not count as a write, not even as a dry
run. Your key may have other limits; each response has them in ~X-RateLimit-Limit~, ~-Remaining~ and ~-Reset~
(Unix seconds), and in the IETF draft's ~RateLimit~ and ~RateLimit-Policy~. Requests without a valid key are
limited by address to 60 a minute. Operations before sign-in have a limit of their own: 300 per address, or
120 per user in a browser in which the user has signed in before. Requests that fail count, too. A session has
600 reads, 120 writes and 5 deploys a minute.

An account can have 100 active API keys, 200 SSH keys, 10 webhooks, 100 open quotes and 100 open invitations.
A user can have 20 passkeys and 50 sessions; the oldest session ends when another begins. One more is
LIMIT_REACHED; ~details~ has the kind and the limit. An account can have 64 event streams and 32 terminals
open at once, of which one key or user can have 16 and 8; one more is RATE_LIMIT_EXCEEDED. 100 device
authorizations can be pending from one address. These limits are fixed.

## Idempotency

Send an ~Idempotency-Key~ of your own (1–255 visible ASCII characters) with a POST, PATCH, PUT or DELETE that
lists it as a parameter. The same key and body within 24 hours return the first response again, byte for byte,
with ~Idempotent-Replayed: true~, and have no second effect, even while the first request is in progress and
after a crash. Responses 2xx, 402, 404 and 409 are kept. After any other response the key is free, so you can
fix and retry the request. Another body under the same key is IDEMPOTENCY_KEY_REUSED. Operations before
sign-in, those on a user's password and passkeys, and the simulator's cannot keep a response. They refuse the
header with INVALID_REQUEST.

## Concurrent changes

A GET of one resource that can be changed returns its version in ~ETag~. Send it as ~If-Match~ with the PATCH,
PUT or DELETE: if anything in the response has changed since, the request is refused with 412 PRECONDITION_FAILED
and has no effect; get the resource again and decide again. ~If-Match: *~ requires only that it exists. Other
changes refuse ~If-Match~. With ~If-None-Match~, a GET of what you have already is answered 304 without a
body.

## Error codes

| status | code | retryable | meaning |
| --- | --- | --- | --- |
`, "~", "`")

var oauthIntroduction = strings.ReplaceAll(`
## Device authorization codes

The two endpoints of device authorization (RFC 8628) take a form and answer as OAuth 2.0 does: without an
envelope, and with ~{"error", "error_description"}~ for an error. Its status is 400 unless the request failed
before it was read.

| error | meaning |
| --- | --- |
`, "~", "`")
