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

// Erasure is the record of how a machine's drives were erased, after a deployment or before the
// first one.
type Erasure struct {
	ID           id.ID         `json:"id" doc:"Id of the erasure."`
	MachineID    id.ID         `json:"machineId" doc:"Id of the machine."`
	DeploymentID id.ID         `json:"deploymentId" doc:"Id of the deployment that had the machine; empty if none had it before."`
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
	Verdict   string    `json:"verdict" doc:"erased, failed, marks_found, missing or unexpected; destroyed, if the operator said that it was."`
	Detail    string    `json:"detail" doc:"What failed; empty if nothing did."`
}

const (
	// minMarks is how many marks prove the erasure of a drive: the agent writes four times as many.
	minMarks = 64
	// clockSlack is how wrong the clock of a machine may be: firmware has any time zone.
	clockSlack = 24 * time.Hour
)

// judge returns what is wrong with an erasure: "" only if it names every drive of the machine as
// erased, and no other drive. The agent's own verdict is not believed where its numbers say
// otherwise.
func judge(m Machine, j agentJob, now time.Time) string {
	if m.Hardware == nil || len(m.Hardware.Drives) == 0 {
		return "the drives of the machine are not known"
	}
	if j.Outcome != rackagent.Done && (j.Erasure == nil || len(j.Erasure.Drives) == 0) {
		return "the agent failed: " + j.Error
	}
	if j.Erasure == nil || len(j.Erasure.Drives) == 0 {
		return "the agent reported no drive"
	}
	problems := m.Hardware.another(j.Hardware)
	seen := map[string]bool{}
	for _, d := range j.Erasure.Drives {
		serial := plain(d.Serial)
		if text := judgeDrive(m.Hardware.Drives, d, j.CreatedAt, now); seen[serial] {
			problems = append(problems, fmt.Sprintf("drive %s is reported twice", serial))
		} else if text != "" {
			problems = append(problems, fmt.Sprintf("drive %s%s", serial, text))
		}
		seen[serial] = true
	}
	for _, k := range m.Hardware.Drives {
		if !seen[k.Serial] {
			problems = append(problems, fmt.Sprintf("drive %s was not erased", k.Serial))
		}
	}
	if len(problems) == 0 && j.Outcome != rackagent.Done {
		problems = append(problems, "the agent failed: "+j.Error)
	}
	return reason(problems)
}

// judgeDrive returns what is wrong with the erasure of one drive in a job that began at that time.
func judgeDrive(known []Drive, d rackagent.DriveErasure, began, now time.Time) string {
	i := slices.IndexFunc(known, func(k Drive) bool { return k.Serial == plain(d.Serial) })
	switch {
	case i < 0:
		return " is not one that was inspected"
	case d.Verdict != rackagent.Erased:
		return fmt.Sprintf(": %s %s", d.Verdict, plain(d.Detail))
	case d.Marks < minMarks || d.MarksGone != d.Marks:
		return fmt.Sprintf(": %d of %d marks are gone, and at least %d are needed", d.MarksGone, d.Marks, minMarks)
	case d.Bytes != known[i].Bytes && known[i].Bytes > 0:
		return fmt.Sprintf(": %d bytes of %d were erased", d.Bytes, known[i].Bytes)
	case !slices.Contains(rackagent.Methods(), d.Method):
		return fmt.Sprintf(" was erased by an unknown method, %q", plain(string(d.Method)))
	case !d.EndedAt.After(d.StartedAt), d.StartedAt.Before(began.Add(-clockSlack)),
		d.EndedAt.After(now.Add(clockSlack)), d.EndedAt.Sub(d.StartedAt) > now.Sub(began)+time.Hour:
		return fmt.Sprintf(" was erased from %s to %s by the clock of the machine, which cannot be",
			d.StartedAt.UTC().Format(time.RFC3339), d.EndedAt.UTC().Format(time.RFC3339))
	}
	return ""
}

// record returns the record of an erasure, with the drives that were destroyed instead.
func record(j agentJob, m Machine, wrong string, now time.Time) Erasure {
	out := Erasure{
		ID: j.ID, MachineID: m.ID, DeploymentID: m.lastDeployment, StartedAt: j.CreatedAt, EndedAt: now,
		Passed: wrong == "", Reason: wrong, Drives: []ErasedDrive{},
	}
	for _, d := range m.Destroyed {
		out.Drives = append(out.Drives, d.record())
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
