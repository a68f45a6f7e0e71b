/** What index.html shows before the scripts have come, until it is known who is signed in. Its style is index.html's. */
export function Boot() {
  return (
    <div className="boot" aria-busy="true">
      <div className="boot-side">
        <i />
        <i />
        <i />
        <i />
        <i />
      </div>
      <div className="boot-main">
        <i />
        <i />
        <i />
      </div>
    </div>
  );
}
