var l=`
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
`;var p=(n,t)=>`${n} ${t}${n===1?"":"s"}`,a={connecting:"Connecting",live:"Live",thinking:"Thinking","thinking-count":"{seconds} s",stalled:"{reason}",reconnecting:"{reason}","reconnecting-count":({attempt:n,seconds:t})=>(n?`attempt ${n}`:"")+(n&&t?`, in ${t} s`:""),recovered:({replayed:n})=>n===null?"Connection restored":`Connection restored: ${p(n,"message")} replayed`,completed:"Complete",failed:"{reason} {advice}",advice:"Ask again.",closed:"{reason}",gap:({missed:n})=>`${n===null?"Some messages":p(n,"message")} before this point cannot be shown any more.`,retry:"Retry now"};var x=4e3,w=250,h=["stalled","reconnecting"],o=(n,t,...e)=>{let s=document.createElement(n);for(let[i,r]of Object.entries(t))s.setAttribute(i,r);return s.append(...e),s},c=(n,t)=>{n.textContent!==t&&(n.textContent=t)},S=n=>n.some(({missedThrough:t})=>t===null)?null:n.reduce((t,{missedFrom:e,missedThrough:s})=>t+s-e+1,0),d=class extends HTMLElement{static observedAttributes=Object.keys(a).map(t=>`text-${t}`);#t=null;#o={};#s=new AbortController;#r=0;#c=null;#a=0;#d=0;#h=o("span",{part:"text"});#l=o("span",{part:"gap"});#p=o("span",{part:"count"});#i=o("button",{part:"retry",type:"button",hidden:""});constructor(){super();let t=new CSSStyleSheet;t.replaceSync(l);let e=this.attachShadow({mode:"open"});e.adoptedStyleSheets=[t];let s=o("span",{role:"status"},this.#h,this.#l);e.append(o("span",{part:"dot","aria-hidden":"true"}),s,this.#p,this.#i),this.#i.addEventListener("click",()=>this.#t?.retryNow())}get source(){return this.#t}set source(t){this.#t=t,this.#a=0,this.#u()}get texts(){return this.#o}set texts(t){this.#o=t??{},this.#e()}get kind(){if(!this.#t)return"";let{state:t,idleSeconds:e}=this.#t;return t!=="open"?t:Date.now()<this.#a?"recovered":e?"thinking":"live"}connectedCallback(){for(let t of["texts","source"]){if(!Object.hasOwn(this,t))continue;let e=this[t];delete this[t],this[t]=e}this.#u()}disconnectedCallback(){this.#s.abort(),clearTimeout(this.#r)}attributeChangedCallback(){this.#e()}#u(){if(this.#s.abort(),this.#s=new AbortController,this.#t&&this.isConnected){let t=(e,s)=>this.#t.addEventListener?.(e,s,{signal:this.#s.signal});t("state",()=>this.#e()),t("gap",()=>this.#e()),t("heartbeat",()=>{this.#d=Date.now(),this.#e()}),t("recovered",({detail:e})=>{this.#c=e.replayed,this.#a=Date.now()+x,this.#e()})}this.#e()}#e(){clearTimeout(this.#r);let t=this.kind;t?t!==this.getAttribute("kind")&&this.setAttribute("kind",t):this.removeAttribute("kind");let e=this.#m(t);c(this.#h,this.#n(t,e)),c(this.#l,this.#t?.gaps?.length?this.#n("gap",e):""),c(this.#p,this.#n(h.includes(t)?"reconnecting-count":`${t}-count`,e)),c(this.#i,this.#n("retry",e)),this.#i.hidden=!h.includes(t),this.isConnected&&[...h,"thinking","recovered"].includes(t)&&(this.#r=setTimeout(()=>this.#e(),w))}#m(t){let e=this.#t??{},{reason:s="",code:i="",stream:r="",attempt:u=0,retryAt:m=0,idleSeconds:g=0,gaps:f=[]}=e,b=Math.floor((Date.now()-this.#d)/1e3),k=Math.max(0,Math.ceil((m-Date.now())/1e3)),v=t==="thinking"?g+b:k,y=/\bagain\b/.test(s)||i.startsWith("err-sidecar-")?"":this.#n("advice",{reason:s,code:i});return{reason:s,advice:y,code:i,stream:r,attempt:u,seconds:v,replayed:this.#c,missed:S(f)}}#n(t,e){let s=this.getAttribute(`text-${t}`)??this.#o[t]??a[t]??"";return typeof s=="function"?s(e):s.replace(/\{(\w+)\}/g,(i,r)=>e[r]??"").trim()}};customElements.get("sse-status")||customElements.define("sse-status",d);export{d as SseStatus,a as TEXTS};
