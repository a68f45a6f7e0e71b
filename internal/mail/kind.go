package mail

import (
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/account"
)

// Kind is what a mail is about. It selects its text.
type Kind string

// The kinds of mails.
const (
	VerifyAddress         Kind = "verify_address"
	AddressKnown          Kind = "address_known"
	SignUpInvitation      Kind = "sign_up_invitation"
	PasswordReset         Kind = "password_reset"
	AddressUnknown        Kind = "address_unknown"
	Invitation            Kind = "invitation"
	NewSignIn             Kind = "new_sign_in"
	PasswordChanged       Kind = "password_changed"
	SecondFactorChanged   Kind = "second_factor_changed"
	PastDue               Kind = "past_due"
	ResourcesEnded        Kind = "resources_ended"
	AccountSuspended      Kind = "account_suspended"
	LowBalance            Kind = "low_balance"
	BudgetReached         Kind = "budget_reached"
	InvoiceIssued         Kind = "invoice"
	BillingDetailsMissing Kind = "billing_details_missing"
	DeploymentFailed      Kind = "deployment_failed"
	DeploymentInterrupted Kind = "deployment_interrupted"
	ServiceCredit         Kind = "service_credit"
	ProviderOutage        Kind = "provider_outage"
	ProviderRecovered     Kind = "provider_recovered"
	WebhookStopped        Kind = "webhook_stopped"
	PaymentReceived       Kind = "payment_received"
	TopUpFailed           Kind = "top_up_failed"
	PaymentAuthentication Kind = "payment_authentication"
	PaymentRefunded       Kind = "payment_refunded"
	PaymentDisputed       Kind = "payment_disputed"
	CreditExpiring        Kind = "credit_expiring"
	Announcement          Kind = "announcement"
)

// spec is what is fixed for a kind.
type spec struct {
	kind Kind
	// text describes the kind, for the list of switches.
	text string
	// always is true if no member can switch it off.
	always bool
	// stranger is true for mails to an address that may belong to no member.
	stranger bool
	// roles get the mail if it is about an account.
	roles []account.Role
	// perHour is how many of the kind one address gets in an hour; 0 for no limit.
	perHour int
	// subject is fixed: the subject of a mail contains no text of users.
	subject string
	// body is a text/template over the mail's data. An empty line separates paragraphs.
	body string
	// lines allows several lines in the data, each of which becomes a paragraph.
	lines bool
	// button and path are the link below the text, unless the mail has a link of its own; "" for
	// none. A path may have a query. It is a text/template over the mail's data, like body, so it
	// contains only IDs.
	button, path string
}

var (
	everyone = account.Roles
	payers   = []account.Role{account.Owner, account.Admin, account.Billing}
	workers  = []account.Role{account.Owner, account.Admin, account.Member}
)

// manyPerHour limits kinds of which a bad hour can cause hundreds.
const manyPerHour = 20

// specs are all kinds, in the order in which they are listed.
var specs = []spec{
	{
		kind: VerifyAddress, always: true, stranger: true, perHour: manyPerHour,
		text:    "Confirmation of your email address.",
		subject: "Confirm your email address",
		body: "Someone signed up at {{.installation}} with this email address. If it was you, confirm the " +
			"address.\n\n" +
			"The link works once, until {{.expiresAt}}. If it was not you, ignore this email: no account is " +
			"created unless you confirm.",
		button: "Confirm email address",
	},
	{
		kind: AddressKnown, always: true, stranger: true, perHour: manyPerHour,
		text:    "Sign-up with your email address.",
		subject: "You already have an account",
		body: "Someone signed up at {{.installation}} with this email address, which already has an account. " +
			"If it was you, sign in, or set a new password if you forgot yours. If it was not you, ignore this email.",
		button: "Sign in", path: "/sign-in",
	},
	{
		kind: SignUpInvitation, always: true, stranger: true, perHour: manyPerHour,
		text:    "Invitation to create an account.",
		subject: "You have been invited to create an account",
		body: "The operator of {{.installation}} invited you to create an account.\n\n" +
			"The link works once, until {{.expiresAt}}.",
		button: "Create your account",
	},
	{
		kind: PasswordReset, always: true, stranger: true, perHour: manyPerHour,
		text:    "Link to set a new password.",
		subject: "Set a new password",
		body: "Someone requested a new password for this email address at {{.installation}}. If it was you, set one " +
			"now.\n\n" +
			"The link works once, until {{.expiresAt}}. If it was not you, ignore this email: your password stays " +
			"the same.",
		button: "Set new password",
	},
	{
		kind: AddressUnknown, always: true, stranger: true, perHour: manyPerHour,
		text:    "Password reset for an email address without a user.",
		subject: "No user has this email address",
		body: "Someone requested a new password for this email address at {{.installation}}, but no user has this " +
			"address. If it was you, try the address that you signed up with. If it was not you, ignore this email.",
		button: "Sign in", path: "/sign-in",
	},
	{
		kind: Invitation, always: true, stranger: true, perHour: manyPerHour,
		text:    "Invitation to an account.",
		subject: "You have been invited to an account",
		body: "{{.invitedBy}} invited you to the account {{.account}} at {{.installation}}, with the role " +
			"{{.role}}.\n\n" +
			"The link works once, until {{.expiresAt}}.",
		button: "Accept invitation",
	},
	{
		kind: NewSignIn, always: true, perHour: manyPerHour,
		text:    "Sign-in from a browser that you have not used before.",
		subject: "New sign-in to your account",
		body: "You signed in from a new browser on {{.at}}.\n\nIP address: {{.address}}\n\nBrowser: {{.browser}}\n\n" +
			"If it was not you, change your password and sign out all other sessions.",
		button: "Review your sessions", path: "/settings/profile",
	},
	{
		kind: PasswordChanged, always: true,
		text:    "Change of your password.",
		subject: "Your password was changed",
		body: "Your password was changed on {{.at}}{{if .address}} from the IP address {{.address}}{{end}}.\n\n" +
			"If it was not you, contact {{.help}} immediately.",
		button: "Review your sessions", path: "/settings/profile",
	},
	{
		kind: SecondFactorChanged, always: true,
		text:    "Change of your two-factor authentication or passkeys.",
		subject: "Your sign-in methods were changed",
		body: "{{.what}} on {{.at}}{{if .address}} from the IP address {{.address}}{{end}}.\n\n" +
			"If it was not you, change your password and contact {{.help}} immediately.",
		button: "Review your sign-in methods", path: "/settings/profile",
	},
	{
		kind: PastDue, always: true, roles: payers,
		text:    "Balance below zero, with deadlines for machines and volumes.",
		subject: "Your account is past due",
		body: "The balance of the account {{.account}} has been below zero since {{.since}}. " +
			"Available: {{.available}}.\n\n" +
			"Unless you add money first, all machines will be terminated on {{.deploymentsEndAt}}, and all volumes " +
			"will be deleted with their data on {{.volumesDeletedAt}}.",
		button: "Open wallet", path: "/wallet",
	},
	{
		kind: ResourcesEnded, always: true, roles: everyone,
		text:    "Machines or volumes ended because the account stayed past due.",
		subject: "Machines or volumes of your account were ended",
		body: "The account {{.account}} stayed past due. {{if .deployments}}Its machines were terminated: " +
			"{{.deployments}}.{{else}}Its volumes were deleted.{{end}}",
		button: "Open wallet", path: "/wallet",
	},
	{
		kind: AccountSuspended, always: true, roles: everyone,
		text:    "Suspension of the account by the operator.",
		subject: "Your account was suspended",
		body: "The operator suspended the account {{.account}} on {{.since}}. You cannot start anything new.\n\n" +
			"Reason: {{.reason}}\n\nQuestions? Contact {{.help}}.",
	},
	{
		kind: LowBalance, roles: payers,
		text:    "Balance that lasts only a few hours.",
		subject: "Your balance is low",
		body: "The balance of the account {{.account}} is {{.available}}. At the current hourly spend of " +
			"{{.hourlyCost}}, it lasts until {{.runsDryAt}}.\n\n" +
			"Unless you add money, all machines will be terminated on {{.deploymentsEndAt}}, and all volumes will " +
			"be deleted with their data on {{.volumesDeletedAt}}.",
		button: "Open wallet", path: "/wallet",
	},
	{
		kind: PaymentReceived, roles: payers,
		text:    "Receipt of a top-up.",
		subject: "Payment received",
		body: "{{if eq .automatic \"true\"}}An automatic top-up{{else}}A top-up{{end}} of {{.amount}} was added to " +
			"the balance of the account {{.account}}.\n\nTop-up: {{.topUpId}}",
		button: "Open wallet", path: "/wallet",
	},
	{
		kind: TopUpFailed, roles: payers, perHour: manyPerHour,
		text:    "Payment that failed.",
		subject: "A payment failed",
		body: "{{if eq .automatic \"true\"}}An automatic top-up{{else}}A top-up{{end}} of {{.amount}} for the " +
			"account {{.account}} failed. Nothing was added to the balance.\n\nReason: {{.reason}}" +
			"{{if eq .automatic \"true\"}}\n\nCheck the payment method. Automatic top-ups stop after three " +
			"failures.{{end}}",
		button: "Open wallet", path: "/wallet",
	},
	{
		kind: PaymentAuthentication, roles: payers,
		text:    "Automatic top-up that you must confirm with your bank.",
		subject: "Confirm a payment",
		body: "Your bank requires you to confirm an automatic top-up of {{.amount}} for the account {{.account}}. It " +
			"was not paid, and automatic top-ups are on hold.\n\nA top-up with a payment page was created in its " +
			"place: {{.confirmTopUpId}}. Open its payment page within a day and pay: the page asks for the " +
			"confirmation. Automatic top-ups then resume.",
		button: "Confirm the payment", path: "/billing?topUp={{.confirmTopUpId}}",
	},
	{
		kind: PaymentRefunded, roles: payers,
		text:    "Refund of a payment.",
		subject: "A payment was refunded",
		body: "The operator refunded {{.amount}} of the top-up {{.topUpId}} of the account {{.account}} to the " +
			"payment method that paid it.\n\nReason: {{.reason}}",
		button: "Open wallet", path: "/wallet",
	},
	{
		kind: PaymentDisputed, always: true, roles: payers,
		text:    "Payment that the payer's bank disputes.",
		subject: "A payment is disputed",
		body: "{{if eq .status \"open\"}}The payer's bank disputes {{.amount}} of the top-up {{.topUpId}} of the " +
			"account {{.account}}. The amount was deducted from the balance, and automatic top-ups are off. If " +
			"this is a mistake, withdraw the dispute at the bank.{{else if eq .status \"won\"}}The dispute about the " +
			"top-up {{.topUpId}} of the account {{.account}} has ended. {{.amount}} was returned to the balance." +
			"{{else}}The bank took back {{.amount}} of the top-up {{.topUpId}} of the account {{.account}}.{{end}}",
		button: "Open wallet", path: "/wallet",
	},
	{
		kind: CreditExpiring, roles: payers, perHour: manyPerHour,
		text:    "Credit that expires in a week.",
		subject: "A credit expires soon",
		body: "A credit of the account {{.account}} expires on {{.expiresAt}}. {{.amount}} of it is left. Credits " +
			"that expire are spent before other money.\n\nCredit: {{.note}}",
		button: "Open wallet", path: "/wallet",
	},
	{
		kind: BudgetReached, roles: payers, perHour: manyPerHour,
		text:    "Threshold of a budget that was reached.",
		subject: "A budget reached a threshold",
		body: "The budget {{.name}} of the account {{.account}} has reached {{.threshold}} percent of its amount of " +
			"{{.amount}}. Spent: {{.spent}}. Committed: {{.committed}}.\n\n" +
			"{{if eq .mode \"block\"}}New deployments and volumes that would pass the amount are refused." +
			"{{else if eq .mode \"terminate\"}}New deployments and volumes that would pass the amount are refused, " +
			"and machines are terminated before an hour that would pass it begins.{{else}}This budget only alerts: " +
			"nothing is refused or terminated.{{end}}",
		button: "Open wallet", path: "/wallet",
	},
	{
		kind: InvoiceIssued, roles: payers,
		text:    "Invoice of a month, or a credit note.",
		subject: "Your invoice is ready",
		body: "{{if eq .type \"credit_note\"}}The credit note{{else}}The invoice{{end}} {{.number}} of the account " +
			"{{.account}} for {{.month}} is ready. Total: {{.total}}.\n\n" +
			"Download it under Billing, or with the command: billet invoices download {{.number}}" +
			"{{if and (ne .due \"$0.00\") (ne .type \"credit_note\")}}\n\nNot covered by the balance: {{.due}}. " +
			"Add money to the wallet to pay it.{{end}}",
		button: "Open billing", path: "/billing",
	},
	{
		kind: BillingDetailsMissing, roles: payers,
		text:    "Billing details that the first invoice needs.",
		subject: "Your first invoice needs billing details",
		body: "The first invoice of the account {{.account}}, for {{.month}}, will be issued when the month has " +
			"ended. These billing details are not set: {{.missing}}.\n\n" +
			"An issued invoice is never changed, so set them before the end of the month, in UTC.",
		button: "Set billing details", path: "/billing",
	},
	{
		kind: DeploymentFailed, roles: workers, perHour: manyPerHour,
		text:    "Deployment that failed before its machine was ready.",
		subject: "A deployment failed",
		body: "The deployment {{.name}} of the account {{.account}} failed before it was ready. You were " +
			"not charged.\n\nReason: {{.reason}}",
		button: "Open deployment", path: "/deployments/{{.subject}}",
	},
	{
		kind: ServiceCredit, roles: payers, perHour: manyPerHour,
		text:    "Service credit for a machine that did not work.",
		subject: "You received a service credit",
		body: "{{.amount}} was added to the balance of the account {{.account}}: {{.description}}." +
			"{{if .note}}\n\nNote: {{.note}}{{end}}\n\nService credit: {{.serviceCreditId}}",
		button: "Open wallet", path: "/wallet",
	},
	{
		kind: DeploymentInterrupted, roles: workers, perHour: manyPerHour,
		text:    "Machine that the provider reclaimed.",
		subject: "A machine was interrupted",
		body: "The provider reclaimed the machine {{.name}} of the account {{.account}}. It is no longer billed. The " +
			"data on its local disks is lost.\n\nReason: {{.reason}}",
		button: "Open deployment", path: "/deployments/{{.subject}}",
	},
	{
		kind: ProviderOutage, roles: workers, perHour: manyPerHour,
		text:    "Outage of a provider where you have machines.",
		subject: "Outage of a provider of your machines",
		body: "{{.providerName}} has not responded since {{.startedAt}}. The account {{.account}} has machines " +
			"there: {{.machines}}.\n\n" +
			"They may still be running, and they remain yours. Until the provider responds again, we can neither " +
			"check nor stop them there. If you terminate one, billing stops immediately, and we retry the " +
			"termination at the provider until it succeeds.",
		button: "Open deployments", path: "/deployments",
	},
	{
		kind: ProviderRecovered, roles: workers, perHour: manyPerHour,
		text:    "End of an outage of a provider where you have machines.",
		subject: "Outage of a provider of your machines has ended",
		body: "{{.providerName}} responds again. It did not respond from {{.startedAt}} until {{.endedAt}}. The " +
			"account {{.account}} had machines there when the outage began.",
		button: "Open deployments", path: "/deployments",
	},
	{
		kind: WebhookStopped, roles: workers, perHour: manyPerHour,
		text:    "Webhook that no longer receives events.",
		subject: "A webhook was stopped",
		body: "Events are no longer sent to the webhook " +
			"{{if .description}}{{.description}}{{else}}{{.subject}}{{end}} of the account " +
			"{{.account}}.\n\n{{.reason}}",
		button: "Open webhooks", path: "/settings/webhooks",
	},
	{
		kind: Announcement, roles: everyone, lines: true,
		text:    "Announcement of the operator, such as planned maintenance.",
		subject: "Announcement",
		body:    "{{.title}}{{if .text}}\n\n{{.text}}{{end}}",
		button:  "Open the dashboard", path: "/overview",
	},
}

// specOf returns the spec of a kind, which must be one of the constants.
func specOf(k Kind) spec {
	i := slices.IndexFunc(specs, func(s spec) bool { return s.kind == k })
	if i < 0 {
		panic("mail: there is no kind " + string(k))
	}
	return specs[i]
}

// Enum lists every kind.
func (Kind) Enum() []Kind {
	var all []Kind
	for _, s := range specs {
		all = append(all, s.kind)
	}
	return all
}

// Switch describes a kind to a member.
type Switch struct {
	Kind         Kind   `json:"kind" doc:"Kind of email."`
	Description  string `json:"description" doc:"What the email is about."`
	CanSwitchOff bool   `json:"canSwitchOff" doc:"false for emails about security or the loss of data."`
	Enabled      bool   `json:"enabled" doc:"Whether you get this email."`
}

// lifetime is how long a mail is tried unless it expires earlier.
const lifetime = 24 * time.Hour

// Switches lists the kinds that members get, with those switched off that are named.
func Switches(off []string) []Switch {
	var all []Switch
	for _, s := range specs {
		if s.stranger { // there is no member yet who could choose
			continue
		}
		all = append(all, Switch{s.kind, s.text, !s.always, s.always || !slices.Contains(off, string(s.kind))})
	}
	return all
}
