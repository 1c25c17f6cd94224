import { render } from 'preact';
import { App } from './App.js';
import { start } from './model.js';

start();
render(<App />, document.getElementById('app')!);
