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

// Type is a stable word for what happened, such as "deployment.running".
type Type string

// Kind is one line of the table of events.
type Kind struct {
	Type Type
	// Text says when it happens.
	Text string
	// Data is an empty value of the struct that the event's data have.
	Data any
}

// DeploymentData is what every event of a deployment says that is not about money.
type DeploymentData struct {
	Name   string `json:"name" doc:"Name of the deployment."`
	Status string `json:"status" doc:"Its status after the event."`
}

// DeploymentCreatedData is that of deployment.created.
type DeploymentCreatedData struct {
	DeploymentData
	OfferID     id.ID        `json:"offerId" doc:"The offer that was asked for first."`
	HourlyPrice money.Micros `json:"hourlyPrice" doc:"US dollars an hour."`
}

// DeploymentUpdatedData is that of deployment.updated.
type DeploymentUpdatedData struct {
	DeploymentData
	Tags                  []string   `json:"tags" doc:"All its tags."`
	AutoTerminateAt       *time.Time `json:"autoTerminateAt" doc:"Its planned end; null for none."`
	TerminationProtection bool       `json:"terminationProtection" doc:"Whether a terminate is refused."`
}

// DeploymentStatusData is that of a deployment's changes of status.
type DeploymentStatusData struct {
	DeploymentData
	From   string `json:"from" doc:"Its status before."`
	Cause  string `json:"cause" doc:"A word for why; the deployment's statusCause."`
	Reason string `json:"reason,omitempty" doc:"Why, for people; left out where there is nothing to say."`
}

// DeploymentProgressData is that of deployment.progress.
type DeploymentProgressData struct {
	DeploymentData
	Step   string `json:"step" doc:"The step that has begun; see the deployment's steps."`
	Detail string `json:"detail" doc:"What the provider says of it; may be empty."`
}

// DeploymentAttemptData is that of deployment.attempt_failed.
type DeploymentAttemptData struct {
	DeploymentData
	OfferID     id.ID  `json:"offerId" doc:"The offer that failed."`
	Provider    string `json:"provider" doc:"Slug of its provider."`
	Cause       string `json:"cause" doc:"A word for why."`
	Reason      string `json:"reason" doc:"Why, for people."`
	NextOfferID id.ID  `json:"nextOfferId" doc:"The offer that is asked for next."`
}

// DeploymentAddressData is that of deployment.address_changed.
type DeploymentAddressData struct {
	DeploymentData
	IPAddress string `json:"ipAddress" doc:"Where SSH answers now."`
	SSHPort   int    `json:"sshPort" doc:"The port there."`
}

// DeploymentQueuedData is that of deployment.termination_queued.
type DeploymentQueuedData struct {
	DeploymentData
	At time.Time `json:"at" doc:"When it will be terminated."`
}

// DeploymentActionData is that of a deployment's actions.
type DeploymentActionData struct {
	DeploymentData
	Action string `json:"action" doc:"reboot, power-on, power-off or reinstall."`
	Reason string `json:"reason,omitempty" doc:"Why it failed, for people; left out where it did not."`
}

// ChargedData is that of an hour that was charged.
type ChargedData struct {
	TransactionID id.ID        `json:"transactionId" doc:"The line on the statement."`
	Amount        money.Micros `json:"amount" doc:"US dollars."`
	HourlyPrice   money.Micros `json:"hourlyPrice" doc:"US dollars an hour."`
	Hour          int64        `json:"hour" doc:"Which hour of its life, from 1."`
	From          time.Time    `json:"from" doc:"When the hour begins."`
	To            time.Time    `json:"to" doc:"When it ends."`
	Description   string       `json:"description" doc:"The same in words."`
}

// RefundedData is that of a part of an hour that was given back.
type RefundedData struct {
	Amount        money.Micros `json:"amount" doc:"US dollars."`
	HourlyPrice   money.Micros `json:"hourlyPrice" doc:"US dollars an hour."`
	Hour          int64        `json:"hour" doc:"Which hour of its life, from 1."`
	From          time.Time    `json:"from" doc:"From when on it was not used."`
	To            time.Time    `json:"to" doc:"When the hour ends."`
	UnusedSeconds int64        `json:"unusedSeconds" doc:"How many seconds are given back."`
	Description   string       `json:"description" doc:"The same in words."`
}

// VolumeData is that of a volume's events that are not about money.
type VolumeData struct {
	Name        string `json:"name" doc:"Name of the volume."`
	Status      string `json:"status" doc:"Its status after the event."`
	SizeGB      int64  `json:"sizeGb" doc:"Its size, in decimal GB."`
	Reason      string `json:"reason,omitempty" doc:"Why, for people; left out where there is nothing to say."`
	GrowingToGB int64  `json:"growingToGb,omitempty" doc:"The size that it is being given; left out where it does not grow."`
	AttachedTo  id.ID  `json:"attachedTo,omitempty" doc:"The deployment that has it; left out where none has."`
	MountPath   string `json:"mountPath,omitempty" doc:"Where its files are in the machine; left out where it is not attached."`
}

// PastDueData is that of account.past_due.
type PastDueData struct {
	Available        money.Micros `json:"available" doc:"US dollars; below zero."`
	Since            time.Time    `json:"since" doc:"Since when it is below zero."`
	DeploymentsEndAt time.Time    `json:"deploymentsEndAt" doc:"When deployments are ended, unless money comes before."`
	VolumesDeletedAt time.Time    `json:"volumesDeletedAt" doc:"When volumes are deleted, unless money comes before."`
}

// RecoveredData is that of account.recovered.
type RecoveredData struct {
	Available money.Micros `json:"available" doc:"US dollars that are available again."`
}

// DeploymentsEndedData is that of account.deployments_ended.
type DeploymentsEndedData struct {
	Deployments int `json:"deployments" doc:"How many were ended."`
}

// VolumesDeletedData is that of account.volumes_deleted: it says nothing more.
type VolumesDeletedData struct{}

// WebhookStoppedData is that of a webhook to which nothing is sent any more.
type WebhookStoppedData struct {
	Description string `json:"description" doc:"What the webhook is for."`
	Reason      string `json:"reason" doc:"Why, for people."`
}

// WebhookTestData is that of webhook.test.
type WebhookTestData struct {
	Description string `json:"description" doc:"What the webhook is for."`
}

// Kinds is the table of events: every type that there is. The OpenAPI document, docs/webhooks.md and the dashboard have it from here.
var Kinds = []Kind{
	{"deployment.created", "A deployment was asked for.", DeploymentCreatedData{}},
	{"deployment.deploying", "A machine is being asked for.", DeploymentStatusData{}},
	{"deployment.progress", "Deploying has come a step further.", DeploymentProgressData{}},
	{"deployment.attempt_failed", "An offer failed, and the next candidate is asked for.", DeploymentAttemptData{}},
	{"deployment.running", "SSH answers, and the bill has begun; or the machine is on again.", DeploymentStatusData{}},
	{"deployment.stopped", "The machine was switched off. It is kept, and paid for.", DeploymentStatusData{}},
	{"deployment.updated", "Name, tags, planned end or protection were changed.", DeploymentUpdatedData{}},
	{"deployment.address_changed", "The machine has another address.", DeploymentAddressData{}},
	{"deployment.action_requested", "A reboot, power on, power off or reinstall was asked for.", DeploymentActionData{}},
	{"deployment.action_done", "It is done.", DeploymentActionData{}},
	{"deployment.action_failed", "The provider refused it.", DeploymentActionData{}},
	{"deployment.charged", "An hour was charged.", ChargedData{}},
	{"deployment.refunded", "What was not used of an hour was given back.", RefundedData{}},
	{"deployment.termination_queued", "It will be terminated as soon as the minimum runtime is met.", DeploymentQueuedData{}},
	{"deployment.terminating", "It is being terminated. The bill has ended.", DeploymentStatusData{}},
	{"deployment.terminated", "The provider has confirmed the end.", DeploymentStatusData{}},
	{"deployment.failed", "It failed before it ran, and costs nothing.", DeploymentStatusData{}},
	{"deployment.interrupted", "The provider took the machine back.", DeploymentStatusData{}},
	{"volume.created", "A volume was asked for.", VolumeData{}},
	{"volume.available", "It can be attached; the bill has begun with the first time.", VolumeData{}},
	{"volume.updated", "Its name or wanted size was changed.", VolumeData{}},
	{"volume.grown", "It has the larger size.", VolumeData{}},
	{"volume.attaching", "It is being attached to a deployment.", VolumeData{}},
	{"volume.attached", "It is in the machine, at mountPath.", VolumeData{}},
	{"volume.detaching", "It is being detached.", VolumeData{}},
	{"volume.charged", "An hour was charged.", ChargedData{}},
	{"volume.refunded", "A part of an hour was given back.", RefundedData{}},
	{"volume.deleting", "It is being deleted. The bill has ended.", VolumeData{}},
	{"volume.deleted", "The provider has confirmed it.", VolumeData{}},
	{"volume.failed", "It could not be made, and costs nothing.", VolumeData{}},
	{"account.past_due", "The money is used up.", PastDueData{}},
	{"account.recovered", "There is money again.", RecoveredData{}},
	{"account.deployments_ended", "Deployments were ended, since no money came.", DeploymentsEndedData{}},
	{"account.volumes_deleted", "Volumes were deleted, since no money came.", VolumesDeletedData{}},
	{"webhook.paused", "Nothing could be delivered to a webhook for 72 hours.", WebhookStoppedData{}},
	{"webhook.disabled", "A webhook's address answered 410 Gone.", WebhookStoppedData{}},
	{TypeTest, "You asked for a test. It is sent to the one webhook, and is in no list of events.", WebhookTestData{}},
}

// TypeTest is the type of what a test of a webhook sends. It is no event of the account's log.
const TypeTest Type = "webhook.test"

// Types are all types, in the order of the table.
func Types() []Type {
	out := make([]Type, len(Kinds))
	for i, k := range Kinds {
		out[i] = k.Type
	}
	return out
}

// Enum lists every type of event.
func (Type) Enum() []Type { return Types() }

// Mistyped says what is wrong with a text that is neither a type nor, where beginnings may be named, the beginning of some, such as deployment.*;
// "" where it is good.
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
		message += ", nor the beginning of some, such as deployment.*"
	}
	if near := apierr.Nearest(text, known); near != "" {
		return message + ". Did you mean " + near + "?"
	}
	return message + "; docs/webhooks.md and `webhooks` in the OpenAPI document list them."
}

// Check returns an error where the event is not as the table says: an unknown type, or data that its struct has not, or not all of it.
func Check(e Event) error {
	i := slices.IndexFunc(Kinds, func(k Kind) bool { return string(k.Type) == e.Type })
	if i < 0 {
		return fmt.Errorf("event: %q is not in the table", e.Type)
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
