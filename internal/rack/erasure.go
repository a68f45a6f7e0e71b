package rack

import (
	"fmt"
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/rackagent"
)

// erasuresKept is how long the record of an erasure is kept.
const erasuresKept = 3 * 365 * 24 * time.Hour

// Erasure is the record of how a machine's drives were erased after a deployment.
type Erasure struct {
	ID           id.ID         `json:"id" doc:"Id of the erasure."`
	MachineID    id.ID         `json:"machineId" doc:"Id of the machine."`
	DeploymentID id.ID         `json:"deploymentId" doc:"Id of the deployment that had the machine."`
	StartedAt    time.Time     `json:"startedAt" doc:"When it began."`
	EndedAt      time.Time     `json:"endedAt" doc:"When it ended."`
	Passed       bool          `json:"passed" doc:"Whether every drive was erased and that was proven. A machine that did not pass is not rented out again."`
	Reason       string        `json:"reason" doc:"Why it did not pass; empty if it did."`
	Drives       []ErasedDrive `json:"drives" doc:"Each drive by its serial number."`
}

// ErasedDrive is the record of one drive.
type ErasedDrive struct {
	Serial    string    `json:"serial" doc:"Serial number."`
	Model     string    `json:"model" doc:"Model."`
	Method    string    `json:"method" doc:"How it was erased: sanitize_crypto, sanitize_block, nvme_format, ata_secure_erase or overwrite."`
	Bytes     int64     `json:"bytes" doc:"Size in bytes."`
	StartedAt time.Time `json:"startedAt" doc:"When it began."`
	EndedAt   time.Time `json:"endedAt" doc:"When it ended."`
	Marks     int       `json:"marks" doc:"Random marks that were written before, and read back."`
	MarksGone int       `json:"marksGone" doc:"Number of these that were gone afterwards."`
	Verdict   string    `json:"verdict" doc:"erased, failed, marks_found, missing or unexpected."`
	Detail    string    `json:"detail" doc:"What failed; empty if nothing did."`
}

// judge returns what is wrong with an erasure: "" only if it names every drive of the machine as
// erased, and no other drive. The agent's own verdict is not believed where its numbers say
// otherwise.
func judge(known []Drive, e *rackagent.Erasure) string {
	if len(known) == 0 {
		return "the drives of the machine are not known"
	}
	if e == nil || len(e.Drives) == 0 {
		return "the agent reported no drive"
	}
	var problems []string
	add := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	seen := map[string]bool{}
	for _, d := range e.Drives {
		serial := plain(d.Serial)
		isKnown := slices.ContainsFunc(known, func(k Drive) bool { return k.Serial == serial })
		switch {
		case seen[serial]:
			add("drive %s is reported twice", serial)
		case !isKnown:
			add("drive %s is not one that was inspected", serial)
		case d.Verdict != rackagent.Erased:
			add("drive %s: %s %s", serial, d.Verdict, plain(d.Detail))
		case d.Marks < 1 || d.MarksGone != d.Marks:
			add("drive %s: %d of %d marks are gone", serial, d.MarksGone, d.Marks)
		}
		seen[serial] = true
	}
	for _, k := range known {
		if !seen[k.Serial] {
			add("drive %s was not erased", k.Serial)
		}
	}
	return reason(problems)
}

// record returns the record of an erasure.
func record(j agentJob, m Machine, wrong string, now time.Time) Erasure {
	out := Erasure{
		ID: j.ID, MachineID: m.ID, DeploymentID: m.lastDeployment, StartedAt: j.CreatedAt, EndedAt: now,
		Passed: wrong == "", Reason: wrong, Drives: []ErasedDrive{},
	}
	if j.Erasure == nil {
		return out
	}
	for _, d := range j.Erasure.Drives[:min(len(j.Erasure.Drives), maxParts)] {
		out.Drives = append(out.Drives, ErasedDrive{
			Serial: plain(d.Serial), Model: plain(d.Model), Method: plain(string(d.Method)), Bytes: d.Bytes,
			StartedAt: d.StartedAt.UTC(), EndedAt: d.EndedAt.UTC(), Marks: d.Marks, MarksGone: d.MarksGone,
			Verdict: plain(string(d.Verdict)), Detail: plain(d.Detail),
		})
	}
	return out
}
