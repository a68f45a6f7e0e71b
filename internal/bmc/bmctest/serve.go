package bmctest

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"strings"
	"time"
)

const (
	root    = "/redfish/v1"
	system  = root + "/Systems/1"
	manager = root + "/Managers/1"
	account = root + "/AccountService/Accounts/2"
	maxBody = 64 << 10
)

type object map[string]any

// routes are the resources and actions by path, without a slash at the end.
type routes struct {
	get  map[string]func() object
	call map[string]func(body object) reply // by method and path
}

type reply struct {
	status int
	header map[string]string
	body   object
}

var done = reply{status: http.StatusNoContent}

// ServeHTTP answers a request to the BMC.
func (b *BMC) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	text, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	var body object
	if len(text) > 0 && err == nil {
		err = json.Unmarshal(text, &body)
	}
	var out reply
	var slow time.Duration
	b.locked(func() {
		slow = b.quirks.Slow
		path := strings.TrimRight(r.URL.Path, "/")
		b.state.Requests = append(b.state.Requests, r.Method+" "+path)
		switch {
		case err != nil:
			out = refuse(http.StatusBadRequest, "MalformedJSON", "The body is no JSON object.")
		case use(&b.quirks.Unavailable):
			out = refuse(http.StatusServiceUnavailable, "ServiceTemporarilyUnavailable", "The service is starting.")
		default:
			out = b.answer(r, path, body)
		}
	})
	if slow > 0 {
		timer := time.NewTimer(slow)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
			return
		}
	}
	for name, value := range out.header {
		w.Header().Set(name, value)
	}
	w.Header().Set("OData-Version", "4.0")
	if out.body == nil {
		w.WriteHeader(out.status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(out.status)
	_ = json.NewEncoder(w).Encode(out.body) // a client that is gone misses nothing
}

// answer answers one request. The caller holds the lock.
func (b *BMC) answer(r *http.Request, path string, body object) reply {
	opens := r.Method == http.MethodPost && path == root+"/SessionService/Sessions"
	// A password that is sent without need counts, too.
	if _, _, sent := r.BasicAuth(); (path != root && !opens || sent) && !b.authorized(r) {
		out := refuse(http.StatusUnauthorized, "NoValidSession", "The password or session is not valid.")
		if !b.quirks.SessionOnly {
			out.header = map[string]string{"WWW-Authenticate": `Basic realm="bmc"`}
		}
		return out
	}
	switch r.Method {
	case http.MethodGet:
		return b.read(path)
	case http.MethodDelete:
		id := strings.TrimPrefix(path, root+"/SessionService/Sessions/")
		if b.sessions[id] == "" {
			return missing()
		}
		delete(b.sessions, id)
		return done
	case http.MethodPatch:
		match := r.Header.Get("If-Match")
		if match == "" && b.quirks.ETagRequired {
			return refuse(http.StatusPreconditionRequired, "PreconditionRequired", "If-Match is required.")
		}
		if match != "" && match != b.etag(path) && match != "*" {
			return refuse(http.StatusPreconditionFailed, "PreconditionFailed", "The resource has changed.")
		}
	}
	return b.call(r.Method, path, body)
}

// read answers a GET.
func (b *BMC) read(path string) reply {
	if b.quirks.InventoryBroken && path == system+"/Processors" {
		return refuse(http.StatusInternalServerError, "InternalError", "The inventory is broken.")
	}
	if out, is := b.readTask(path); is {
		return out
	}
	f := b.handler.get[path]
	if f == nil {
		return missing()
	}
	header := map[string]string{"ETag": b.etag(path)}
	out := f()
	out["@odata.id"] = path
	return reply{http.StatusOK, header, out}
}

// call answers a change.
func (b *BMC) call(method, path string, body object) reply {
	f := b.handler.call[method+" "+path]
	switch {
	case f != nil:
		return f(body)
	case b.handler.get[path] != nil:
		return refuse(http.StatusMethodNotAllowed, "ActionNotSupported", "The method is not supported.")
	}
	return missing()
}

// etag returns the version of a resource, which is its content. The power as it is shown must not
// count as read.
func (b *BMC) etag(path string) string {
	f := b.handler.get[path]
	if f == nil {
		return ""
	}
	lag := b.lag
	text, err := json.Marshal(f())
	b.lag = lag
	if err != nil {
		return ""
	}
	h := fnv.New64a()
	_, _ = h.Write(text) // it returns no error
	return fmt.Sprintf(`"%x"`, h.Sum64())
}

func (b *BMC) authorized(r *http.Request) bool {
	if token := r.Header.Get("X-Auth-Token"); token != "" {
		for _, t := range b.sessions {
			if t == token {
				return true
			}
		}
		return false
	}
	user, password, is := r.BasicAuth()
	return is && !b.quirks.SessionOnly && b.passes(user, password)
}

// passes reports whether the password lets the user in, and counts wrong ones.
func (b *BMC) passes(user, password any) bool {
	if b.state.Locked {
		return false
	}
	if user == b.c.User && password == b.state.Password {
		b.state.WrongPasswords = 0
		return true
	}
	b.state.WrongPasswords++
	b.state.Locked = b.quirks.LockoutAfter > 0 && b.state.WrongPasswords >= b.quirks.LockoutAfter
	return false
}

func (b *BMC) openSession(body object) reply {
	if b.quirks.BasicOnly {
		return missing()
	}
	if !b.passes(body["UserName"], body["Password"]) {
		return refuse(http.StatusUnauthorized, "InsufficientPrivilege", "The password is not valid.")
	}
	b.ids++
	id := fmt.Sprint(b.ids)
	b.sessions[id] = "token-" + id
	at := root + "/SessionService/Sessions/" + id
	return reply{
		http.StatusCreated, map[string]string{"X-Auth-Token": b.sessions[id], "Location": at},
		object{
			"@odata.id": at, "@odata.type": "#Session.v1_3_0.Session", "Id": id, "Name": "Session",
			"UserName": b.c.User,
		},
	}
}

func refuse(status int, id, message string) reply {
	return reply{status: status, body: object{"error": object{
		"code": "Base.1.8.GeneralError", "message": message,
		"@Message.ExtendedInfo": []object{{
			"@odata.type": "#Message.v1_1_1.Message", "MessageId": "Base.1.8." + id, "Message": message,
		}},
	}}}
}

func missing() reply {
	return refuse(http.StatusNotFound, "ResourceMissingAtURI", "There is no such resource.")
}

// refuseParameter names the parameter as clients expect it.
func refuseParameter(id, parameter, message string) reply {
	out := refuse(http.StatusBadRequest, id, message)
	e := out.body["error"].(object)
	e["code"] = "Base.1.5." + id
	e["@Message.ExtendedInfo"].([]object)[0]["RelatedProperties"] = []string{"#/" + parameter}
	return out
}

// readTask answers a read of a task, which runs on with each.
func (b *BMC) readTask(path string) (reply, bool) {
	t := b.tasks[path]
	if t == nil {
		return reply{}, false
	}
	out := reply{status: http.StatusOK, body: object{
		"@odata.id": path, "@odata.type": "#Task.v1_4_3.Task", "Id": "1", "Name": "Insert", "TaskStatus": "OK",
		"TaskState": "Completed", "Messages": []object{},
	}}
	switch {
	case t.reads > 0:
		t.reads--
		out.body["TaskState"] = "Running"
	case t.fails:
		out.body["TaskState"], out.body["TaskStatus"] = "Exception", "Critical"
		out.body["Messages"] = []object{{"Message": "The image cannot be read."}}
	case t.do != nil:
		t.do()
		t.do = nil
	}
	return out, true
}
