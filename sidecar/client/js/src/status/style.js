/** The style sheet of `<sse-status>`. A page changes it through the custom properties and the parts. */

export const STYLE = `
  :host {
    --tone: var(--sse-quiet, light-dark(#5d6675, #9aa4b5));
    display: inline-flex; flex-wrap: wrap; align-items: center; gap: .25em .5em; min-height: 1.5em;
  }
  :host([hidden]), :empty:not([part=dot]), [part=retry][hidden] { display: none; }
  :host(:is([kind=live], [kind=recovered], [kind=completed])) { --tone: var(--sse-good, light-dark(#1b7a45, #6fd598)); }
  :host(:is([kind=thinking], [kind=stalled], [kind=reconnecting])) { --tone: var(--sse-wait, light-dark(#8f5600, #f2b95c)); }
  :host([kind=failed]), [part=gap] { --tone: var(--sse-bad, light-dark(#b3261e, #ff8f86)); }
  [part=dot] { border: .35em solid var(--tone); border-radius: 50%; flex: none; }
  :host(:not([kind])) [part=dot] { display: none; }
  [role=status] { min-width: 0; max-width: calc(100% - 1.2em); overflow-wrap: anywhere; }
  [part=text], [part=gap] { color: var(--tone); }
  [part=gap] { display: block; }
  [part=count] { font-variant-numeric: tabular-nums; }
  [part=retry] {
    font: inherit; color: inherit; background: none; border: 1px solid; border-radius: .4em; padding: .1em .6em;
    min-height: 1.75em; cursor: pointer;
  }
  [part=retry]:focus-visible { outline: 2px solid var(--tone); outline-offset: 2px; }
  @media (prefers-reduced-motion: no-preference) {
    :host(:is([kind=thinking], [kind=stalled], [kind=reconnecting])) [part=dot] { animation: beat 1.2s infinite; }
    @keyframes beat { 50% { opacity: .35; } }
  }
`;
