package event

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
)

// Type is the type of an event, such as "deployment.running".
type Type string

// Kind describes a type of event.
type Kind struct {
	Type Type
	// Text describes when it happens.
	Text string
	// Data is an empty value of the type of its data.
	Data any
}

// DeploymentData is the data of every event of a deployment that is not about money.
type DeploymentData struct {
	Name   string `json:"name" doc:"Name of the deployment."`
	Status string `json:"status" doc:"Status after the event."`
}

// DeploymentCreatedData is the data of deployment.created.
type DeploymentCreatedData struct {
	DeploymentData
	OfferID     id.ID        `json:"offerId" doc:"First requested offer."`
	HourlyPrice money.Micros `json:"hourlyPrice" doc:"Hourly price in US dollars."`
}

// DeploymentUpdatedData is the data of deployment.updated.
type DeploymentUpdatedData struct {
	DeploymentData
	Tags                  []string      `json:"tags" doc:"All tags."`
	AutoTerminateAt       *time.Time    `json:"autoTerminateAt" doc:"Time of automatic termination; null for none."`
	MaxSpend              *money.Micros `json:"maxSpend" doc:"Maximum spend in US dollars; null for none."`
	MaxRuntimeMinutes     *int64        `json:"maxRuntimeMinutes" doc:"Maximum runtime in minutes; null for none."`
	TerminationProtection bool          `json:"terminationProtection" doc:"Whether termination protection is on."`
	Project               string        `json:"project" doc:"Project; empty for none."`
}

// DeploymentStatusData is the data of a deployment's changes of status.
type DeploymentStatusData struct {
	DeploymentData
	From   string `json:"from" doc:"Status before the event."`
	Cause  string `json:"cause" doc:"Cause code, as in the deployment's statusCause."`
	Reason string `json:"reason,omitempty" doc:"Reason as text; omitted if there is none."`
}

// DeploymentProgressData is the data of deployment.progress.
type DeploymentProgressData struct {
	DeploymentData
	Step   string `json:"step" doc:"Step that has started; see the deployment's steps."`
	Detail string `json:"detail" doc:"Detail from the provider; may be empty."`
}

// DeploymentAttemptData is the data of deployment.attempt_failed.
type DeploymentAttemptData struct {
	DeploymentData
	OfferID     id.ID  `json:"offerId" doc:"Offer that failed."`
	Provider    string `json:"provider" doc:"Provider slug."`
	Cause       string `json:"cause" doc:"Cause code."`
	Reason      string `json:"reason" doc:"Reason as text."`
	NextOfferID id.ID  `json:"nextOfferId" doc:"Offer that is tried next."`
}

// DeploymentAddressData is the data of deployment.address_changed.
type DeploymentAddressData struct {
	DeploymentData
	IPAddress string `json:"ipAddress" doc:"Current IP address."`
	SSHPort   int    `json:"sshPort" doc:"Current SSH port."`
}

// DeploymentHealthData is the data of a check of a deployment's GPUs.
type DeploymentHealthData struct {
	DeploymentData
	Verdict string `json:"verdict" doc:"passed, warning, failed or not_checked."`
	Reason  string `json:"reason,omitempty" doc:"Reason of the verdict as text; omitted if passed."`
	Level   int    `json:"level" doc:"Level of the check."`
	Trigger string `json:"trigger" doc:"launch, request or schedule."`
}

// DeploymentQueuedData is the data of deployment.termination_queued.
type DeploymentQueuedData struct {
	DeploymentData
	At time.Time `json:"at" doc:"Time of the termination."`
}

// DeploymentActionData is the data of a deployment's actions.
type DeploymentActionData struct {
	DeploymentData
	Action string `json:"action" doc:"reboot, power-on, power-off, reinstall, rescue or end-rescue."`
	Reason string `json:"reason,omitempty" doc:"Reason of the failure as text; omitted if it did not fail."`
}

// ChargedData is the data of a charged hour.
type ChargedData struct {
	TransactionID id.ID        `json:"transactionId" doc:"Transaction on the statement."`
	Amount        money.Micros `json:"amount" doc:"Amount in US dollars."`
	HourlyPrice   money.Micros `json:"hourlyPrice" doc:"Hourly price in US dollars."`
	Hour          int64        `json:"hour" doc:"Number of the hour since the start, from 1."`
	From          time.Time    `json:"from" doc:"Start of the hour."`
	To            time.Time    `json:"to" doc:"End of the hour."`
	Description   string       `json:"description" doc:"Description of the transaction."`
}

// RefundedData is the data of a partly refunded hour.
type RefundedData struct {
	Amount        money.Micros `json:"amount" doc:"Amount in US dollars."`
	HourlyPrice   money.Micros `json:"hourlyPrice" doc:"Hourly price in US dollars."`
	Hour          int64        `json:"hour" doc:"Number of the hour since the start, from 1."`
	From          time.Time    `json:"from" doc:"Start of the unused time."`
	To            time.Time    `json:"to" doc:"End of the hour."`
	UnusedSeconds int64        `json:"unusedSeconds" doc:"Number of refunded seconds."`
	Description   string       `json:"description" doc:"Description of the transaction."`
}

// VolumeData is the data of a volume's events that are not about money.
type VolumeData struct {
	Name        string `json:"name" doc:"Name of the volume."`
	Status      string `json:"status" doc:"Status after the event."`
	SizeGB      int64  `json:"sizeGb" doc:"Size in decimal GB."`
	Reason      string `json:"reason,omitempty" doc:"Reason as text; omitted if there is none."`
	GrowingToGB int64  `json:"growingToGb,omitempty" doc:"New size in decimal GB; omitted if it is not being resized."`
	AttachedTo  id.ID  `json:"attachedTo,omitempty" doc:"Deployment that it is attached to; omitted if there is none."`
	MountPath   string `json:"mountPath,omitempty" doc:"Mount path in the machine; omitted if it is not attached."`
}

// BillingDetailsMissingData is the data of account.billing_details_missing.
type BillingDetailsMissingData struct {
	Month   string   `json:"month" doc:"Month of the first invoice: 2026-11."`
	Fields  []string `json:"fields" doc:"Fields of the billing details that are not set."`
	Missing string   `json:"missing" doc:"The same as a text."`
}

// CreditExpiringData is the data of account.credit_expiring.
type CreditExpiringData struct {
	CreditID  id.ID        `json:"creditId" doc:"Credit."`
	Amount    money.Micros `json:"amount" doc:"US dollars that are left of it."`
	ExpiresAt time.Time    `json:"expiresAt" doc:"When what is left then expires."`
	Note      string       `json:"note" doc:"Text of the credit on the statement."`
}

// CreditExpiredData is the data of account.credit_expired.
type CreditExpiredData struct {
	CreditID id.ID        `json:"creditId" doc:"Credit."`
	Amount   money.Micros `json:"amount" doc:"US dollars that were taken out of the wallet."`
	Note     string       `json:"note" doc:"Text of the credit on the statement."`
}

// PastDueData is the data of account.past_due.
type PastDueData struct {
	Available        money.Micros `json:"available" doc:"Available balance in US dollars, below zero."`
	Since            time.Time    `json:"since" doc:"Time when the available balance fell below zero."`
	DeploymentsEndAt time.Time    `json:"deploymentsEndAt" doc:"Time when deployments are terminated, unless money is added before."`
	VolumesDeletedAt time.Time    `json:"volumesDeletedAt" doc:"Time when volumes are deleted, unless money is added before."`
}

// LowBalanceData is the data of account.low_balance.
type LowBalanceData struct {
	ThresholdHours   int64        `json:"thresholdHours" doc:"Runway that was reached, in hours: 24, 6 or 1."`
	Available        money.Micros `json:"available" doc:"Available balance in US dollars."`
	HourlyCost       money.Micros `json:"hourlyCost" doc:"Hourly spend in US dollars."`
	RunsDryAt        time.Time    `json:"runsDryAt" doc:"Time of the first charge that the available balance does not cover, if nothing changes."`
	DeploymentsEndAt time.Time    `json:"deploymentsEndAt" doc:"Time when deployments are terminated, unless money is added before."`
	VolumesDeletedAt time.Time    `json:"volumesDeletedAt" doc:"Time when volumes are deleted, unless money is added before."`
}

// BudgetReachedData is the data of account.budget_reached.
type BudgetReachedData struct {
	BudgetID  id.ID        `json:"budgetId" doc:"Id of the budget."`
	Name      string       `json:"name" doc:"Name of the budget."`
	Threshold int          `json:"threshold" doc:"Percentage of the amount that was reached."`
	Period    string       `json:"period" doc:"day, month or total."`
	Mode      string       `json:"mode" doc:"alert, block or terminate."`
	Amount    money.Micros `json:"amount" doc:"Amount of the budget in US dollars."`
	Spent     money.Micros `json:"spent" doc:"US dollars charged in the period."`
	Committed money.Micros `json:"committed" doc:"US dollars on hold."`
}

// InvoiceIssuedData is the data of invoice.issued.
type InvoiceIssuedData struct {
	Type   string       `json:"type" doc:"invoice or credit_note."`
	Number string       `json:"number" doc:"Number of the document."`
	Month  string       `json:"month" doc:"Month that is billed, such as 2026-11."`
	Total  money.Micros `json:"total" doc:"Total in US dollars, with tax."`
	Due    money.Micros `json:"due" doc:"Part of the total that the balance did not cover."`
}

// ToppedUpData is the data of account.topped_up.
type ToppedUpData struct {
	TopUpID   id.ID        `json:"topUpId" doc:"Top-up."`
	Amount    money.Micros `json:"amount" doc:"US dollars that were credited."`
	Automatic bool         `json:"automatic" doc:"Whether it was an automatic top-up."`
}

// TopUpFailedData is the data of account.top_up_failed.
type TopUpFailedData struct {
	TopUpID   id.ID        `json:"topUpId" doc:"Top-up."`
	Amount    money.Micros `json:"amount" doc:"Requested amount in US dollars."`
	Automatic bool         `json:"automatic" doc:"Whether it was an automatic top-up."`
	Reason    string       `json:"reason" doc:"Reason as text."`
}

// AuthenticationRequiredData is the data of account.payment_authentication_required.
type AuthenticationRequiredData struct {
	TopUpID        id.ID        `json:"topUpId" doc:"Automatic top-up that failed."`
	ConfirmTopUpID id.ID        `json:"confirmTopUpId" doc:"Pending top-up that was created in its place. The payer confirms on its payment page."`
	Amount         money.Micros `json:"amount" doc:"Requested amount in US dollars."`
}

// PaymentRefundedData is the data of account.payment_refunded.
type PaymentRefundedData struct {
	TopUpID  id.ID        `json:"topUpId" doc:"Top-up."`
	RefundID id.ID        `json:"refundId" doc:"Refund."`
	Amount   money.Micros `json:"amount" doc:"US dollars that were refunded."`
	Reason   string       `json:"reason" doc:"Reason of the operator."`
}

// PaymentDisputedData is the data of account.payment_disputed.
type PaymentDisputedData struct {
	TopUpID id.ID        `json:"topUpId" doc:"Top-up."`
	Amount  money.Micros `json:"amount" doc:"US dollars that are disputed."`
	Status  string       `json:"status" doc:"open, won (the amount was returned to the wallet) or lost."`
	Reason  string       `json:"reason" doc:"Code of the payer's bank; may be empty."`
}

// RecoveredData is the data of account.recovered.
type RecoveredData struct {
	Available money.Micros `json:"available" doc:"Available balance in US dollars."`
}

// ProviderOutageData is the data of account.provider_outage.
type ProviderOutageData struct {
	IncidentID   id.ID     `json:"incidentId" doc:"Incident, as on the status page."`
	Provider     string    `json:"provider" doc:"Provider slug."`
	ProviderName string    `json:"providerName" doc:"Name of the provider."`
	StartedAt    time.Time `json:"startedAt" doc:"When the provider stopped answering."`
	Machines     int64     `json:"machines" doc:"Machines of the account at the provider."`
}

// ProviderRecoveredData is the data of account.provider_recovered.
type ProviderRecoveredData struct {
	IncidentID   id.ID     `json:"incidentId" doc:"Incident, as on the status page."`
	Provider     string    `json:"provider" doc:"Provider slug."`
	ProviderName string    `json:"providerName" doc:"Name of the provider."`
	StartedAt    time.Time `json:"startedAt" doc:"When the provider stopped answering."`
	EndedAt      time.Time `json:"endedAt" doc:"When it answered again."`
}

// DeploymentsEndedData is the data of account.deployments_ended.
type DeploymentsEndedData struct {
	Deployments int `json:"deployments" doc:"Number of terminated deployments."`
}

// ServiceCreditData is the data of account.service_credit.
type ServiceCreditData struct {
	ServiceCreditID id.ID        `json:"serviceCreditId" doc:"Service credit."`
	DeploymentID    id.ID        `json:"deploymentId" doc:"Deployment whose machine did not work."`
	Name            string       `json:"name" doc:"Name of the deployment."`
	Cause           string       `json:"cause" doc:"machine_lost, machine_unhealthy, machine_off or gpus_failed."`
	From            time.Time    `json:"from" doc:"Beginning of the time that is credited."`
	To              time.Time    `json:"to" doc:"End of the time that is credited."`
	Amount          money.Micros `json:"amount" doc:"US dollars that were credited."`
	Description     string       `json:"description" doc:"Description, as on the statement."`
	Note            string       `json:"note" doc:"Note of the operator; may be empty."`
}

// AccountSuspendedData is the data of account.suspended.
type AccountSuspendedData struct {
	Reason    string    `json:"reason" doc:"Reason of the operator."`
	Since     time.Time `json:"since" doc:"Since when the account is suspended."`
	Terminate string    `json:"terminate" doc:"What happens to deployments: never, earliest (each ends when its minimum runtime is met) or now."`
	Ended     int       `json:"ended" doc:"Number of deployments that were terminated with the suspension."`
	Scheduled int       `json:"scheduled" doc:"Number of deployments whose termination was scheduled."`
}

// AccountResumedData is the data of account.resumed, which is empty.
type AccountResumedData struct{}

// VolumesDeletedData is the data of account.volumes_deleted, which is empty.
type VolumesDeletedData struct{}

// WebhookStoppedData is the data of a webhook to which nothing is sent anymore.
type WebhookStoppedData struct {
	Description string `json:"description" doc:"Description of the webhook."`
	Reason      string `json:"reason" doc:"Reason as text."`
}

// WebhookTestData is the data of webhook.test.
type WebhookTestData struct {
	Description string `json:"description" doc:"Description of the webhook."`
}

// Kinds are all types of events. The OpenAPI document, docs/webhooks.md and the dashboard list
// them.
var Kinds = []Kind{
	{"deployment.created", "A deployment was created.", DeploymentCreatedData{}},
	{"deployment.deploying", "A machine is being requested.", DeploymentStatusData{}},
	{"deployment.progress", "A step of the deployment has started.", DeploymentProgressData{}},
	{"deployment.attempt_failed", "An offer failed, and the next candidate is tried.", DeploymentAttemptData{}},
	{"deployment.running", "SSH is reachable and billing has started, or the machine was powered on again.",
		DeploymentStatusData{}},
	{"deployment.stopped", "The machine was powered off. It is kept, and billing continues.", DeploymentStatusData{}},
	{"deployment.updated", "Name, tags, project, auto-terminate time, limits or termination protection were changed.",
		DeploymentUpdatedData{}},
	{"deployment.address_changed", "The machine's address changed.", DeploymentAddressData{}},
	{"deployment.rescue_ended", "The machine left its rescue system without a request.", DeploymentData{}},
	{"deployment.action_requested", "A reboot, power on, power off or reinstall was requested.",
		DeploymentActionData{}},
	{"deployment.action_done", "The action was completed.", DeploymentActionData{}},
	{"deployment.action_failed", "The provider refused the action, or it failed.", DeploymentActionData{}},
	{"deployment.health_checked", "The GPUs were checked. The verdict is passed, warning or not_checked.",
		DeploymentHealthData{}},
	{"deployment.health_failed", "The GPUs failed a check. Before the deployment runs, the next candidate is tried " +
		"where the offer requires the check.", DeploymentHealthData{}},
	{"deployment.charged", "An hour was charged.", ChargedData{}},
	{"deployment.refunded", "The unused part of an hour was refunded.", RefundedData{}},
	{"deployment.termination_queued", "The deployment will be terminated once the minimum runtime is met.",
		DeploymentQueuedData{}},
	{"deployment.terminating", "The deployment is being terminated. Billing has ended.", DeploymentStatusData{}},
	{"deployment.terminated", "The provider has confirmed the termination.", DeploymentStatusData{}},
	{"deployment.failed", "The deployment failed before it ran, at no cost.", DeploymentStatusData{}},
	{"deployment.interrupted", "The provider reclaimed the machine.", DeploymentStatusData{}},
	{"volume.created", "A volume was created.", VolumeData{}},
	{"volume.available", "The volume can be attached. Billing starts the first time.", VolumeData{}},
	{"volume.updated", "The name or the requested size was changed.", VolumeData{}},
	{"volume.grown", "The volume was resized.", VolumeData{}},
	{"volume.attaching", "The volume is being attached to a deployment.", VolumeData{}},
	{"volume.attached", "The volume is attached, at mountPath.", VolumeData{}},
	{"volume.detaching", "The volume is being detached.", VolumeData{}},
	{"volume.charged", "An hour was charged.", ChargedData{}},
	{"volume.refunded", "Part of an hour was refunded.", RefundedData{}},
	{"volume.deleting", "The volume is being deleted. Billing has ended.", VolumeData{}},
	{"volume.deleted", "The provider has confirmed the deletion.", VolumeData{}},
	{"volume.failed", "The volume could not be created, at no cost.", VolumeData{}},
	{
		"account.low_balance",
		"The runway is 24, 6 or 1 hours or less. Each is reported once, and again after it was longer.",
		LowBalanceData{},
	},
	{
		"account.budget_reached",
		"What is spent and committed has reached a threshold of a budget. Each is reported once for each period.",
		BudgetReachedData{},
	},
	{"invoice.issued", "An invoice of a month, or a credit note, was issued.", InvoiceIssuedData{}},
	{
		"account.billing_details_missing",
		"The first invoice will be issued in a few days, and the buyer's name, address or VAT ID is not set.",
		BillingDetailsMissingData{},
	},
	{"account.topped_up", "A top-up was paid and credited.", ToppedUpData{}},
	{"account.top_up_failed", "A payment failed. An automatic top-up is tried again later, up to three times.",
		TopUpFailedData{}},
	{
		"account.payment_authentication_required",
		"The bank wants the payer of an automatic top-up to confirm it. A top-up with a page was created for that.",
		AuthenticationRequiredData{},
	},
	{"account.payment_refunded", "The operator refunded a payment, or part of it.", PaymentRefundedData{}},
	{
		"account.payment_disputed",
		"The payer's bank asks a payment back, which takes it out of the wallet, or a dispute was decided.",
		PaymentDisputedData{},
	},
	{"account.credit_expiring", "A credit of which something is left expires in seven days.", CreditExpiringData{}},
	{"account.credit_expired", "A credit expired, and what was left of it was taken out of the wallet.",
		CreditExpiredData{}},
	{"account.past_due", "The available balance fell below zero.", PastDueData{}},
	{"account.recovered", "The available balance is zero or more again.", RecoveredData{}},
	{"account.deployments_ended", "Deployments were terminated because the account stayed past due.",
		DeploymentsEndedData{}},
	{"account.volumes_deleted", "Volumes were deleted because the account stayed past due.", VolumesDeletedData{}},
	{
		"account.provider_outage",
		"A provider at which the account has machines does not answer. The machines may run on.", ProviderOutageData{},
	},
	{"account.provider_recovered", "The provider of account.provider_outage answers again.", ProviderRecoveredData{}},
	{"account.suspended", "The operator suspended the account: nothing new can be started.", AccountSuspendedData{}},
	{
		"account.service_credit", "Money was credited for a machine, or GPUs of one, that did not work.",
		ServiceCreditData{},
	},
	{"account.resumed", "The operator resumed the account.", AccountResumedData{}},
	{"webhook.paused", "Nothing could be delivered to a webhook for 72 hours.", WebhookStoppedData{}},
	{"webhook.disabled", "A webhook's endpoint answered 410 Gone.", WebhookStoppedData{}},
	{TypeTest, "A test was requested. It is sent to that webhook only, and is not in the history.", WebhookTestData{}},
}

// TypeTest is the type of a webhook's test. It is not in the account's history.
const TypeTest Type = "webhook.test"

// Types returns all types, in the order of Kinds.
func Types() []Type {
	out := make([]Type, len(Kinds))
	for i, k := range Kinds {
		out[i] = k.Type
	}
	return out
}

// Enum lists every type of event.
func (Type) Enum() []Type { return Types() }

// Mistyped returns what is wrong with a text that is not a type, or "". With beginnings, a pattern
// such as deployment.* is valid, too.
func Mistyped(text string, beginnings bool) string {
	known := []string{}
	for _, k := range Kinds {
		known = append(known, string(k.Type))
		if beginning, _, _ := strings.Cut(string(k.Type), "."); beginnings && !slices.Contains(known, beginning+".*") {
			known = append(known, beginning+".*")
		}
	}
	if slices.Contains(known, text) {
		return ""
	}
	message := "is not an event type, such as deployment.running"
	if beginnings {
		message += ", nor a pattern, such as deployment.*"
	}
	if near := apierr.Nearest(text, known); near != "" {
		return message + ". Did you mean " + near + "?"
	}
	return message + "; docs/webhooks.md and `webhooks` in the OpenAPI document list them."
}

// Check returns an error if the event's type is unknown, or if its data have an unknown or a
// missing field.
func Check(e Event) error {
	i := slices.IndexFunc(Kinds, func(k Kind) bool { return string(k.Type) == e.Type })
	if i < 0 {
		return fmt.Errorf("event: %q is not a known type", e.Type)
	}
	text, err := json.Marshal(e.Data)
	if err != nil {
		return err
	}
	t := reflect.TypeOf(Kinds[i].Data)
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(reflect.New(t).Interface()); err != nil {
		return fmt.Errorf("event: data of %s are not a %s: %w: %s", e.Type, t.Name(), err, text)
	}
	for _, f := range reflect.VisibleFields(t) {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if _, has := e.Data[name]; !f.Anonymous && !has && options != "omitempty" {
			return fmt.Errorf("event: data of %s lack %s: %s", e.Type, name, text)
		}
	}
	return nil
}
